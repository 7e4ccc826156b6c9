"""The subcommands of ``infer``, one file each; ``main`` puts them together."""
