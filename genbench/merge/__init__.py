"""Records of many runs and machines in one leaderboard, which says where each row comes from."""

from genbench.merge.boards import Board, merge_folders
from genbench.merge.layout import FORMATS, leaderboards

__all__ = ["FORMATS", "Board", "leaderboards", "merge_folders"]
