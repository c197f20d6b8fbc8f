"""Groups of commands: each a module that imports click alone until one of its commands runs."""
