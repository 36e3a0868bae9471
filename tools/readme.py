"README.md and its pictures from the stored index notebook, without Quarto: python tools/readme.py [--check]"
import argparse, base64, posixpath, re, sys
from html.parser import HTMLParser

from project import cfg, directives, nbs, notebooks, page, read, rel, root, split, src, text

pictures = root/'README_files'


class Table(HTMLParser):
    "The rows of the first table in a piece of HTML, spans filled with blanks"
    def __init__(self, html):
        super().__init__()
        self.rows, self.head, self.down, self.cell, self.depth = [], 0, {}, None, 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == 'table': self.depth += 1
        if self.depth != 1: return
        if tag == 'tr': self.rows.append([])
        if tag in ('td', 'th'):
            a = dict(attrs)
            self.cell, self.across, self.rowspan = '', int(a.get('colspan') or 1), int(a.get('rowspan') or 1)
        if tag == 'br' and self.cell is not None: self.cell += ' '

    def handle_data(self, data):
        if self.cell is not None: self.cell += data

    def handle_endtag(self, tag):
        if tag == 'table': self.depth -= 1 if self.depth < 2 else 0
        if tag == 'thead': self.head = len(self.rows)
        if tag in ('td', 'th') and self.cell is not None:
            row, r = self.rows[-1], len(self.rows)-1
            while (r, len(row)) in self.down: row.append('')
            for k in range(1, self.rowspan): self.down.update({(r+k, len(row)+j): 1 for j in range(self.across)})
            row += [' '.join(self.cell.split()).replace('|', r'\|')] * self.across
            self.cell = None

def markdown_table(html):
    t = Table(html)
    width = max(map(len, t.rows))
    rows = [r + ['']*(width-len(r)) for r in t.rows]
    n = max(t.head, 1)
    head = [' '.join(dict.fromkeys(o for o in col if o)) for col in zip(*rows[:n])]
    if head[0] == '' and [r[0] for r in rows[n:]] == [str(i) for i in range(len(rows)-n)]:  # a frame's plain row numbers
        rows, head, width = [r[1:] for r in rows], head[1:], width-1
    number = re.compile(r'[-+−]?[\d.,]+(e[-+]?\d+)?%?$|nan$|^$', re.I)
    right = [rows[n:] and all(number.match(r[j]) for r in rows[n:]) for j in range(width)]
    line = lambda r: '| ' + ' | '.join(r) + ' |'
    return '\n'.join([line(head), line(['---:' if o else '---' for o in right]), *map(line, rows[n:])])

def relink(s):
    "Links written for nbs/ or for the site, as they must read one folder up"
    made = {page(p) + '.html': p.relative_to(nbs).as_posix() for p in notebooks()}
    def one(m):
        link, hash_, anchor = m[2].partition('#')
        if not link or re.match(r'\w+:', link) or link.startswith('/'): return m[0]
        return m[1] + posixpath.normpath(posixpath.join(nbs.name, made.get(link, link))) + hash_ + anchor
    return re.sub(r'(\]\(<?|(?:src|href)=")([^)>\s"]+)', one, s)

def tidy(s):
    "Quarto's own marks mean nothing elsewhere"
    s = re.sub(r'^:::.*\n?', '', s, flags=re.M)
    return re.sub(r'(?<=[\])])\{[^}\n]*\}', '', s)

class Readme:
    def __init__(self, nb):
        self.parts, self.files = [], {}
        for i, c in enumerate(nb['cells']): getattr(self, c['cell_type'], lambda c, i: None)(c, i)

    def markdown(self, c, i):
        if c.get('attachments'): raise SystemExit(f'index, cell {i}: attachments do not reach the README, use a file')
        s = src(c).strip()
        if i < 2 and s.startswith('# '): s = re.sub(r'^- [\w-]+:.*\n?', '', s, flags=re.M).strip()  # page settings
        if s: self.parts.append(relink(tidy(s)))

    def code(self, c, i):
        d = directives(c)
        no = lambda k: d.get(k, '').lower() == 'false'
        if {'hide', 'default_exp'} & d.keys() or no('include:'): return
        lead, body = split(src(c))
        lang = m[1] if (m := re.search(r'^\s*%%(\w+)', lead, re.M)) else 'python'
        body = re.sub(r'^.*#\s*\|\s*hide_line\s*$\n?', '', body, flags=re.M).strip()
        if body and not no('echo:'): self.parts.append(f'```{lang}\n{body}\n```')
        if not no('output:'):
            for o in c['outputs']: self.output(o, d)

    def output(self, o, d):
        if o.get('name') == 'stderr': return
        data = {k: text(v) for k,v in o.get('data', {}).items() if isinstance(v, (str, list))}
        if 'image/png' in data:
            name = f'figure-{len(self.files)+1}.png'
            self.files[name] = base64.b64decode(data['image/png'])
            alt = (d.get('fig-alt:') or d.get('fig-cap:') or f'Figure {len(self.files)}').strip('"\'')
            self.parts.append(f'![{alt}]({pictures.name}/{name})')
        elif 'text/markdown' in data: self.parts.append(relink(tidy(data['text/markdown'].strip())))
        elif '<table' in data.get('text/html', ''): self.parts.append(markdown_table(data['text/html']))
        elif s := (text(o.get('text')) or data.get('text/plain', '')).rstrip(): self.parts.append(f'```text\n{s}\n```')

    def all(self):
        "Every file to be written, as bytes"
        return {root/'README.md': ('\n\n'.join(self.parts) + '\n').encode(), **{pictures/n: b for n, b in self.files.items()}}

def main():
    ap = argparse.ArgumentParser(description='README.md from the index notebook')
    ap.add_argument('--check', action='store_true', help='compare only')
    check = ap.parse_args().check
    want = Readme(read(nbs/cfg.get('readme_nb', 'index.ipynb'))).all()
    stale = [p for p in sorted(pictures.glob('figure-*.png')) if p not in want]
    changed = [p for p, b in want.items() if not p.exists() or p.read_bytes() != b]
    if not check:
        for p in stale: p.unlink()
        for p in changed:
            p.parent.mkdir(exist_ok=True)
            p.write_bytes(want[p])
    print('\n'.join([f'{rel(p)}: differs from the index notebook' if check else f'{rel(p)} written' for p in changed] +
                    [f'{rel(p)}: no longer in the index notebook' if check else f'{rel(p)} removed' for p in stale]) or 'README in step')
    if check and (changed or stale): sys.exit('run: make readme')

if __name__ == '__main__': main()
