"""Tells by its name whether a file is code: other programs import, compile or run files with such names."""

import re
from typing import Final

# what Python imports or runs; what a loader of kernels compiles; what a shell, a browser or another runtime starts
_SUFFIXES: Final = (
    *(".py", ".pyc", ".pyo", ".pyw", ".pyi", ".pyx", ".pxd", ".pyd", ".pyz", ".ipynb", ".ipy"),
    *(".pth", ".egg-link"),  # Python runs lines of these among its packages; those of torch are pickles anyway
    *(".so", ".dylib", ".dll", ".exe", ".wasm", ".ptx", ".cubin", ".o", ".a", ".node"),
    *(".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".hip", ".metal", ".rs", ".go", ".java", ".jl", ".r"),
    *(".cl", ".s", ".asm", ".ll", ".mlir", ".f90", ".swift", ".kt", ".kts", ".scala", ".groovy", ".gradle"),
    *(".sh", ".bash", ".zsh", ".fish", ".csh", ".ksh", ".xsh", ".nu", ".bat", ".cmd", ".command"),
    *(".ps1", ".psm1", ".psd1", ".vbs", ".vbe", ".jse", ".wsf", ".wsc", ".sct", ".hta", ".scr", ".reg", ".inf"),
    *(".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx"),
    *(".html", ".htm", ".xhtml", ".mht", ".mhtml"),  # as SVG: browsers run what is in them
    *(".lua", ".pl", ".pm", ".php", ".rb", ".tcl", ".awk", ".mk", ".cmake", ".bzl"),
    *(".desktop", ".service", ".lnk", ".url", ".jar", ".class"),
)
_NAMES: Final = frozenset(
    {
        *("makefile", "gnumakefile", "dockerfile", "containerfile", "cmakelists.txt"),
        *("justfile", "rakefile", "jenkinsfile", "build.bazel"),
        *(".profile", ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".zshrc", ".zshenv", ".zprofile"),
        *(".zlogin", ".cshrc", ".kshrc", ".envrc", ".vimrc", ".exrc", ".pythonrc", ".pdbrc", ".gdbinit", ".lldbinit"),
    }
)
_OF_A_VERSION: Final = re.compile(r"\.so(?:\.[0-9]+)+\Z")  # a library as a loader finds it


def is_code(path: str) -> bool:
    """Whether a file has the name of code. Case is ignored, because some file systems ignore it."""
    name = path.rpartition("/")[2].casefold().rstrip(". ")
    return name in _NAMES or name.endswith(_SUFFIXES) or _OF_A_VERSION.search(name) is not None
