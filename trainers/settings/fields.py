"""What a setting is, for those who come from the recipes' side; torch-free.

It stands on the ground floor, because the window reads settings without `trainers`.
"""

from napari_wsseg.setting_fields import SettingField, fields_of

__all__ = ["SettingField", "fields_of"]
