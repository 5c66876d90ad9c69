"""The reference workload: a grammar tutor that corrects English verbs, from corpus to INT8 weights."""
