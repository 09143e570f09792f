"""Networks: DMAGNet block by block, those it is compared with, their registry, and checkpoints.

In comes a name with its options, or a checkpoint's folder.
Out goes a `torch.nn.Module` with what is known of it: source, input, stages, printed counts, trained weights.
"""
