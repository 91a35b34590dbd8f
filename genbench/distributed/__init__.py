"""One evaluation over many processes, on one machine or many, started by torchrun.

    torchrun --nproc-per-node 8 -m genbench score my.models:make --benchmark digits

Rank 0 is the program. Where it needs features, every rank draws, checks and extracts its share of a fixed grid of
blocks, block i belonging to rank i mod the number of ranks, and rank 0 takes the rows in the order of the blocks into
the same sums and tables that one process fills. So scores do not depend on the number of ranks; no sample is seen
twice and none is left out.

Nothing here imports torch, or has any effect, where ``WORLD_SIZE`` is not set or is 1.
"""

from genbench.distributed.places import Place, is_main, place, rank, world

__all__ = ["Place", "is_main", "place", "rank", "world"]
