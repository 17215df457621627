"""Token ids and texts as transformers' `BertTokenizer` makes them of the same folder."""

import json
import shutil
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from blipvino import BundleError, CheckpointError, InputError
from blipvino.checkpoint.config import TextConfig
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.optimization.preprocessing import write_preprocessing
from blipvino.runtime.inputs.texts import TextProcessor

BertTokenizer = pytest.importorskip("transformers").BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
PUNCTUATION = tuple("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
WORDS = (
    "a the is are dog dogs cat red what color how many there do does it its i don can he she they we s t m re ve ll "
    "not n in 's 2 10 42 3d café cafe na ##ive ##s ##ing ##ed ##2 ##0 play run walk un ##known 中 国 yes no"
)
CONFIG = TextConfig(vocab_size=200, max_position_embeddings=120, bos_token_id=5, sep_token_id=3, pad_token_id=0)

TEXTS = (
    "what color is the dog?",
    "  How MANY dogs\tare\nthere ?  ",
    "it's a dog's; isn't it? don't!",
    "Café naïve CAFÉ",
    "cafe\u0301",  # the accent as a character of its own
    "10 dogs, 42 cats & 3d",
    "2020 dogs2 10.5",
    "zebra unknown xyzzy",
    "中国 dog中",
    "dogs-and-cats_running/walking",
    "a\u00a0dog\u200b\u2003the\ufeffcat",
    "\x00a\x07dog\ufffd",
    "“what” – is…",
    "🐶 is a dog",
    "[SEP] a [CLS] dog [MASK] [PAD] [DEC] [ENC] [UNK]",
    "[sep] [ SEP ]",
    "z" * 300,
    "?",
    "İstanbul ŞΣς ﬁ",
)

characters = st.text(min_size=1, max_size=40)
spoken = st.lists(st.sampled_from([*WORDS.replace("##", "").split(), *PUNCTUATION, "Dogs", "xyz", " "]), max_size=14)


def has_a_token(text):
    """Whether anything is left of a text without control characters, spaces and accents: else it is refused."""
    return any(unicodedata.category(character)[0] in "LNPS" for character in text)


texts = (characters | spoken.map(" ".join) | spoken.map("".join)).filter(has_a_token)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tokenizer as transformers saves it, tokenizer.json included, of an English-like vocabulary.

    One entry looks like the end of a line to `str.splitlines`, as an entry may.
    """
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *PUNCTUATION, "\u2028", *WORDS.split(), *"zebra")) + "\n")
    made = BertTokenizer.from_pretrained(folder, bos_token="[DEC]", additional_special_tokens=["[ENC]"])
    made.save_pretrained(folder)
    assert (folder / "tokenizer.json").is_file()
    return folder


@pytest.fixture(scope="module")
def theirs(folder):
    return BertTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def ours(folder):
    return TextProcessor.from_file(folder / "tokenizer.json", CONFIG)


def assert_same_questions(ours, theirs, asked):
    found, expected = ours.questions(asked), theirs(asked, padding=True, return_tensors="np")
    assert found.input_ids.dtype == found.attention_mask.dtype == np.int64
    np.testing.assert_array_equal(found.input_ids, expected["input_ids"])
    np.testing.assert_array_equal(found.attention_mask, expected["attention_mask"])


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_questions(ours, theirs, text):
    assert_same_questions(ours, theirs, [text])


def test_the_vocabulary_is_used(ours):
    """Else every comparison here would be one of [UNK] with [UNK]."""
    ids = ours.questions(["What color are the dogs?"]).input_ids[0].tolist()
    assert 1 not in ids
    assert len(ids) == 8
    assert 1 in ours.questions(["xyzzy"]).input_ids


@settings(max_examples=150, deadline=None)
@given(asked=st.lists(texts, min_size=1, max_size=5))
@example(asked=list(TEXTS[:5]))
def test_batches_of_questions(ours, theirs, asked):
    assume(
        all(len(theirs(text)["input_ids"]) > 2 for text in asked)
    )  # text of nothing but control characters is refused
    assert_same_questions(ours, theirs, asked)


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_prompts(ours, theirs, text):
    """The decoder's start token in the place of [CLS], and no [SEP]: as `BlipForConditionalGeneration.generate`."""
    assert ours.prompt(text) == [CONFIG.bos_token_id, *theirs(text)["input_ids"][1:-1]]


def test_no_prompt_is_the_start_token(ours):
    assert ours.prompt(None) == [CONFIG.bos_token_id]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_decoding_any_ids(ours, theirs, data):
    ids = data.draw(st.lists(st.integers(0, len(theirs) - 1), max_size=16))
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)


@settings(max_examples=150, deadline=None)
@given(text=texts)
@example(text="it's a dog's; isn't it? i don't, they've, we're, he'll, i'm.")
@example(text="do not run ! no , yes . a ' b")
def test_decoding_texts(ours, theirs, text):
    """What a decoder says: the start token, a text, and perhaps the closing token and padding."""
    ids = ours.prompt(text)
    for tail in ([], [CONFIG.sep_token_id], [CONFIG.sep_token_id, 0, 0]):
        assert ours.decode(ids + tail) == theirs.decode(ids + tail, skip_special_tokens=True)


def test_spaces_are_cleaned_up_on_decoding(ours):
    ids = ours.prompt("a dog, 10 cats are playing?")
    assert ours.decode(ids) == "a dog, 10 cats are playing?"


@pytest.mark.parametrize("clean_up", [None, True, False])
def test_decoding_follows_the_tokenizer_config(folder, tiny_vqa, tmp_path, clean_up):
    """Published checkpoints have either value of ``clean_up_tokenization_spaces``, or none; the bundle keeps to it."""
    checkpoint = checkpoint_with(tiny_vqa, folder, tmp_path, "tokenizer.json", "tokenizer_config.json")
    config = json.loads((checkpoint / "tokenizer_config.json").read_text())
    if clean_up is not None:
        config["clean_up_tokenization_spaces"] = clean_up
        (checkpoint / "tokenizer_config.json").write_text(json.dumps(config))
    ours, theirs = bundled(checkpoint, tmp_path), BertTokenizer.from_pretrained(checkpoint)
    for text in TEXTS:
        ids = ours.prompt(text)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)


def checkpoint_with(subject, tokenizer_folder, parent, *names):
    """A checkpoint with the subject's weights and some files of a tokenizer."""
    checkpoint = parent / "checkpoint"
    checkpoint.mkdir()
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        shutil.copy(subject.folder / name, checkpoint)
    for name in names:
        shutil.copy(tokenizer_folder / name, checkpoint)
    return checkpoint


def bundled(checkpoint, parent):
    """The text processor of a bundle made of the checkpoint."""
    bundle = parent / "bundle"
    bundle.mkdir()
    with load_checkpoint(checkpoint) as opened:
        write_preprocessing(opened, bundle)
    return TextProcessor.from_file(bundle / "tokenizer.json", CONFIG)


@pytest.mark.parametrize("name", ["tiny_vqa", "demo"])
def test_checkpoints_of_the_demo_world(request, name):
    subject = request.getfixturevalue(name)
    asked = ["is there a small striped red circle?", "how many objects are large, or not?", "xylophone's 3 café"]
    assert_same_questions(subject.blip.texts, subject.tokenizer, asked)
    for text in asked:
        ids = subject.blip.texts.prompt(text)
        assert subject.blip.texts.decode(ids) == subject.tokenizer.decode(ids, skip_special_tokens=True)
        assert ids == [5, *subject.tokenizer(text)["input_ids"][1:-1]]


# A bare vocab.txt


@pytest.fixture(scope="module")
def from_vocabulary(folder, tiny_vqa, tmp_path_factory):
    """Of a checkpoint that has ``vocab.txt`` and no ``tokenizer.json``: blipvino's processor and theirs."""
    parent = tmp_path_factory.mktemp("bare")
    checkpoint = checkpoint_with(tiny_vqa, folder, parent, "vocab.txt")
    return bundled(checkpoint, parent), BertTokenizer.from_pretrained(checkpoint)


@settings(max_examples=100, deadline=None)
@given(text=texts.filter(lambda text: "[DEC]" not in text and "[ENC]" not in text))
@example(text=TEXTS[2])
@example(text=TEXTS[3])
@example(text=TEXTS[8])
@example(text=TEXTS[11])
@example(text="[SEP] a [CLS] dog [MASK] [PAD] [UNK]")
def test_vocabulary_alone_gives_the_same_ids(ours, from_vocabulary, text):
    made, theirs = from_vocabulary
    assert made.prompt(text) == ours.prompt(text) == [CONFIG.bos_token_id, *theirs(text)["input_ids"][1:-1]]
    np.testing.assert_array_equal(made.questions([text]).input_ids, ours.questions([text]).input_ids)
    assert made.decode(made.prompt(text)) == ours.decode(ours.prompt(text))


def test_other_vocabularies_are_refused(folder, tiny_vqa, tmp_path):
    checkpoint = checkpoint_with(tiny_vqa, folder, tmp_path, "vocab.txt")
    (checkpoint / "vocab.txt").write_text("hello\nworld\n")
    with pytest.raises(CheckpointError, match=r"vocab\.txt"):
        bundled(checkpoint, tmp_path)


# Refusals


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000"])
def test_blank_texts_are_refused(ours, text):
    with pytest.raises(InputError, match="question is empty"):
        ours.questions(["a dog", text])
    with pytest.raises(InputError, match="prompt is empty"):
        ours.prompt(text)


@pytest.mark.parametrize("text", [None, 7, b"a dog", ["a dog"]])
def test_what_is_not_text_is_refused(ours, text):
    with pytest.raises(InputError, match=f"question must be text, found {type(text).__name__}"):
        ours.questions([text])
    if text is not None:
        with pytest.raises(InputError, match=f"prompt must be text, found {type(text).__name__}"):
            ours.prompt(text)


def test_text_that_no_encoding_knows_is_refused(ours):
    """Half a surrogate pair, as it comes out of ``errors="surrogateescape"``."""
    with pytest.raises(InputError, match="question"):
        ours.questions(["a dog \udce9"])


def test_length_limit(ours):
    limit = CONFIG.max_position_embeddings
    longest = " ".join(["dog"] * (limit - 2))
    assert ours.questions([longest]).input_ids.shape == (1, limit)
    with pytest.raises(InputError, match=rf"{limit + 1} tokens.* {limit}"):
        ours.questions([longest + " dog"])


def test_padding_and_truncation_of_the_file_do_not_count(folder, tmp_path):
    """A tokenizer.json may have been saved with either switched on."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    made = TextProcessor.from_file(tmp_path / "tokenizer.json", CONFIG)
    assert made.questions(["how many dogs are there?"]).input_ids.shape == (1, 8)


@pytest.mark.parametrize("content", ["", "{}", "not JSON", '{"model": 3}'])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        TextProcessor.from_file(path, CONFIG)
