"""Files to documents: `load` in this process, `Reader` in a bounded one."""

from retrieval.loading.kind import SUFFIXES
from retrieval.loading.read import load
from retrieval.loading.reader import Reader

__all__ = ["SUFFIXES", "Reader", "load"]
