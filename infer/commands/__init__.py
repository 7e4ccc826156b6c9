"""The subcommands of ``infer``, one module each; ``main`` combines them."""
