"""Tokens of an exported model are the bytes of a text."""

from transformers import AutoTokenizer

from scalinglab.scaling.engine.export.tokenizer import SPECIAL, byte_tokenizer


def test_ids_are_bytes_and_come_back(tmp_path):
    for name, text in byte_tokenizer(context=16).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("def f(x):\n\treturn 'Ā – 🙂'\r\n", "", "\x7f\x01 a  b", "Ġ"):
        ids = tokenizer(text)["input_ids"]
        assert ids == list(text.encode())
        assert tokenizer.decode(ids) == text
    assert tokenizer.eos_token == SPECIAL and tokenizer.eos_token_id == 0
    assert tokenizer.pad_token_id == 0 and tokenizer.model_max_length == 16
