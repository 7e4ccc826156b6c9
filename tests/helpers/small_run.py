"""Overrides that cut the default run on digits down to seconds, with every stage and teachers that know the classes."""

_STEPS = "evaluate.steps=40"
SMALL_TEACHERS = ("teachers.archs=[convnet3_w32_batchnorm,resnet8_w8]", "teachers.epochs=3")
SMALL_SET = (*SMALL_TEACHERS, "method.iterations=20", "method.group=2", "K=3")
SMALL_RUN = (*SMALL_SET, _STEPS)
SMALL_RUN_OF_ANY_METHOD = (*SMALL_TEACHERS, _STEPS)
"""Without the settings of INFER alone."""
