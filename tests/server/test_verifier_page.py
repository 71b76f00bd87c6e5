"""The page that verifies statements, as it is served and as one file."""

import base64
import hashlib
import re

import pytest
from django.test import Client

from server.web import offline_page


def test_everybody_may_open_it_and_save_it(db: None) -> None:
    page = Client().get("/ledger/verify")
    assert page.status_code == 200
    assert "'self'" in page["Content-Security-Policy"]
    assert b'href="/ledger/verify/offline"' in page.content
    saved = Client().get("/ledger/verify/offline")
    assert saved["Content-Disposition"] == 'attachment; filename="verify-statement.html"'
    assert saved.content.decode() == offline_page.build()
    assert Client().post("/ledger/verify").status_code == 405


def test_the_file_has_nothing_to_load_and_may_not() -> None:
    page = offline_page.build()
    # The one module of others shows in a comment how it is imported.
    bare = re.sub(r"/\*.*?\*/", "", page, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="|url\(|@import|^import |^export |\{\{ \w', bare, re.MULTILINE) == []
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = ["'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'" for text in (*scripts, style)]
    assert policy == (
        f"default-src 'none'; script-src {hashes[0]} {hashes[1]}; style-src {hashes[2]}; base-uri 'none'; form-action 'none'"
    )
    for path in (offline_page.STATIC / "ledger-verifier").glob("*.js"):
        assert f"module_ledger_verifier_{path.stem} = " in page


def test_what_cannot_be_put_into_one_file_is_refused() -> None:
    good = 'import { a as b } from "./a.js";\n\nexport const c = b;\n'
    made = offline_page._as_function(offline_page.ENTRY, good)
    assert "const { a: b } = module_ledger_verifier_a;" in made
    assert "return { c };" in made
    for bad in ('import * as a from "./a.js";\n', "export default 1;\n", "const here = import.meta.url;\n"):
        with pytest.raises(ValueError, match="cannot be put into one file"):
            offline_page._as_function(offline_page.ENTRY, bad)
