# A build backend that needs nothing to be downloaded.
import zipfile

INFO = "tinypkg-0.1.0.dist-info"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    wheel = "tinypkg-0.1.0-py3-none-any.whl"
    with open("tinypkg/__init__.py") as module:
        files = {"tinypkg/__init__.py": module.read()}
    files[f"{INFO}/METADATA"] = "Metadata-Version: 2.1\nName: tinypkg\nVersion: 0.1.0\nRequires-Python: >=3.8\n"
    files[f"{INFO}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{INFO}/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(f"{wheel_directory}/{wheel}", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel
