"The package, as settings.ini describes it."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).resolve().parent
cp = ConfigParser(delimiters=['='])
cp.read(here/'settings.ini', encoding='utf-8')
cfg = cp['DEFAULT']
lib = cfg['lib_name']
readme = here/'README.md'
stage = {'3': 'Development Status :: 3 - Alpha', '4': 'Development Status :: 4 - Beta',
         '5': 'Development Status :: 5 - Production/Stable'}[cfg['status']]

def absolute(text):
    "Links and pictures of the README as the package index needs them: with the address of this version's files"
    at = lambda m: f"{m[1]}]({cfg['git_url']}/{'raw' if m[1].startswith('!') else 'blob'}/v{cfg['version']}/{m[2]})"
    return re.sub(r'(!?\[[^\]]*)\]\((?!\w+:|#)([^)\s]+)\)', at, text)

setup(
    name=lib,
    version=cfg['version'],
    description=cfg['description'],
    long_description=absolute(readme.read_text(encoding='utf-8')) if readme.exists() else cfg['description'],
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'].split(),
    author=cfg['author'],
    license=cfg['license'],
    license_files=['LICENSE'],
    url=cfg['git_url'],
    project_urls={'Documentation': cfg['doc_host'] + cfg['doc_baseurl'], 'Changes': cfg['git_url'] + '/blob/main/CHANGELOG.md'},
    classifiers=[stage, f"Intended Audience :: {cfg['audience']}", f"Natural Language :: {cfg['language']}",
                 'Topic :: Scientific/Engineering :: Artificial Intelligence',
                 *(f'Programming Language :: Python :: 3.{o}' for o in range(int(cfg['min_python'].split('.')[1]), 14))],
    packages=find_packages(include=[f'{lib}*']),
    package_data={lib: cfg['package_data'].split()},
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
    extras_require={o: cfg[f'{o}_requirements'].split() for o in ('dev', 'checks', 'ray', 'explore')},
    # The second group lets nbdev link names on the site to their pages
    entry_points={'console_scripts': cfg['console_scripts'].split(), 'nbdev': [f'{lib}={lib}._modidx:d']},
    zip_safe=False,
)
