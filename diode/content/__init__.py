"""What a file is and whether it is sound, by its content and never by its name (docs/content.md).

Nothing is loaded, unpacked or executed, and no more is read than a stated budget.
"""

from diode.content.examine import Examined, examine

__all__ = ["Examined", "examine"]
