"""Words that cut the default run on digits down to seconds: every stage, and teachers that know the classes."""

SMALL_TEACHERS = ("teachers.archs=[convnet3_w32_batchnorm,resnet8_w8]", "teachers.epochs=3")
SMALL_RUN = (*SMALL_TEACHERS, "method.iterations=20", "ipc=3", "evaluate.steps=40")
