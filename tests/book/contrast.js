// Every visible text of the page whose ink stands out too little from what lies behind it, by WCAG 2.1 (1.4.3):
// [element, ratio, ratio that it needs]. Text over pictures is left out, as axe leaves it out.
() => {
    const parse = (text) => {
        const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
        return [red * alpha, green * alpha, blue * alpha, alpha]; // premultiplied
    };
    const over = (top, below) => top.map((value, i) => value + (1 - top[3]) * below[i]);
    // An element's own ground and opacity, looked up once: it lies behind every text within it.
    const layers = new Map();
    const layer = (element) => {
        if (!layers.has(element)) {
            const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
            layers.set(element, { ground: parse(backgroundColor), pictured: backgroundImage !== "none", opacity });
        }
        return layers.get(element);
    };
    // What is seen of a colour laid on an element: over its ground, thinned with it, and so on up to the page's white.
    const seen = (colour, element) => {
        for (let each = element; each; each = each.parentElement) {
            const { ground, pictured, opacity } = layer(each);
            if (pictured && colour[3] < 1) return null;
            colour = over(colour, ground).map((value) => value * opacity);
        }
        return over(colour, [255, 255, 255, 1]);
    };
    const luminance = (colour) => {
        const [red, green, blue] = colour
            .map((value) => value / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const elements = new Set();
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        const shown = element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
        if (walk.currentNode.data.trim() && shown && !element.closest("[disabled], [aria-disabled=true]"))
            elements.add(element);
    }
    const found = [];
    for (const element of elements) {
        const style = getComputedStyle(element);
        const ground = seen([0, 0, 0, 0], element);
        if (ground === null) continue;
        const inks = [luminance(seen(parse(style.color), element)), luminance(ground)];
        const ratio = (Math.max(...inks) + 0.05) / (Math.min(...inks) + 0.05);
        const size = parseFloat(style.fontSize);
        const needed = size >= 24 || (size >= 56 / 3 && style.fontWeight >= 700) ? 3 : 4.5;
        if (ratio < needed) found.push([element.outerHTML.slice(0, 120), ratio, needed]);
    }
    return { found, texts: elements.size };
};
