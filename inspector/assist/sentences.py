"""The sentences that the assistant knows, once: a grammar for the ear (JSGF) and patterns for what is typed come from the same lines.

A sentence uses JSGF's signs: ``(a | b)`` is a choice, ``[a]`` may be left out, ``<label>`` is a slot. A sentence that would act is
understood only as a whole; of a question it is enough that it stands within what was typed or dictated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from inspector.assist.words import Slot, Words, joined, tokens, written
from inspector.edge.assistance import Kind

Verb: TypeAlias = Literal["", "pause", "resume", "reload", "trigger", "snapshot", "lot", "product"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, in all its wordings."""

    kind: Kind
    """What it asks for."""
    said: tuple[str, ...]
    """Wordings in English, spoken or typed."""
    typed: tuple[str, ...] = ()
    """Wordings that can be typed alone, such as Chinese ones."""
    verb: Verb = ""
    """The command that it stands for."""
    acts: bool = False
    """True if it asks for something to be done."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence was taken for."""

    sentence: Sentence
    """The sentence."""
    slots: Mapping[str, str]
    """What stood in its slots, in the station's own names."""


SENTENCES = (
    Sentence("why", ("why was (this | the last) part <fate>", "why this verdict", "what is wrong with this part"),
             ("为什么 [(这个 | 上一个)] [零件] [被] <fate>", "这个零件有什么问题")),
    Sentence("part", ("show [me] the last (<group> | <label>)", "what is the last verdict", "show [me] the last part of lot <lot>"),
             ("show [me] part <part>", "[显示] (上一个 | 最近 | 最后一个) (<label> | <group>)", "[显示] 零件 <part>")),
    Sentence("count", ("how many (<group> | <label>) in the last <span>",),
             ("how many (<group> | <label>) today", "(最近 | 过去) <span> [内] [有] 多少 [个] (<label> | <group>)")),
    Sentence("yield", ("what is the yield of the last <span>",), ("(最近 | 过去) <span> [内] 合格率 [多少]",)),
    Sentence("reports", ("what was reported about <label>", "show [me] the reports about <label>", "show [me] similar reports"),
             ("[关于] <label> [有哪些] 报告", "<label>")),
    Sentence("reviews", ("show [me] the open reviews", "how many open reviews"), ("待复检", "[有] 多少 待复检")),
    Sentence("station", ("how is the station", "how is the camera", "is the station running"), ("工位状态", "工位怎么样")),
    Sentence("inspect", ("inspect this (part | picture)",), ("检查 这个 零件", "检查 这张 图片")),
    Sentence("mark", ("mark this part as <label>",), ("[把] [这个零件] 标记 为 <label>",), acts=True),
    Sentence("report", ("report <label> on this part",), ("[这个零件] 报告 <label>",), acts=True),
    Sentence("command", ("pause the station",), ("暂停 工位",), "pause", acts=True),
    Sentence("command", ("resume the station",), ("恢复 工位",), "resume", acts=True),
    Sentence("command", ("reload the settings",), ("重新 加载 设置",), "reload", acts=True),
    Sentence("command", ("take a picture now",), ("拍照",), "trigger", acts=True),
    Sentence("command", ("take a snapshot",), ("截图",), "snapshot", acts=True),
    Sentence("command", ("set the lot to <lot>",), ("批次 设 为 <lot>",), "lot", acts=True),
    Sentence("command", ("set the product to <product>",), ("产品 设 为 <product>",), "product", acts=True),
    Sentence("refused", ("(stop | start) the line",), ("(停止 | 启动) 产线",), acts=True),
)  # fmt: skip
"""Every sentence. What a station lacks words for, such as lots that nobody has seen, is left out of its grammar."""

_SIGNS = re.compile(r"[()\[\]|]|<(\w+)>|[^\s()\[\]|<>]+")


def understand(text: str, words: Words) -> Meaning | None:
    """Return what a text means, or None. A question may stand within other words, an order may not."""
    plain, as_written = joined(text), written(text)
    for wordings in (_whole, _within):
        for sentence in SENTENCES:
            if sentence.acts and wordings is _within:
                continue
            for wording in (*sentence.said, *sentence.typed):
                found = wordings(_pattern(wording, words.slots), plain)
                if found is not None and (wordings is _whole or len(tokens(wording)) > 2):
                    return Meaning(sentence, _meanings(found, words.slots, as_written))
    return None


def _whole(pattern: str, plain: str) -> re.Match[str] | None:
    return re.fullmatch(pattern, plain)


def _within(pattern: str, plain: str) -> re.Match[str] | None:
    return re.search(rf"(?:^|(?<= )){pattern}", plain)


def grammar(words: Words, sounds: Sequence[str]) -> str:
    """Return the JSGF grammar of what can be said; ``sounds`` are the words whose sound is known, others are left out."""
    known = set(sounds)
    slots = {name: [w for w in slot.spoken if set(w.split()) <= known] for name, slot in words.slots.items()}
    wordings = [wording for wording in said(words) if all(slots[name] for name in re.findall(r"<(\w+)>", wording))]
    lines = ["#JSGF V1.0;", "grammar station;", f"public <sentence> = {' | '.join(wordings)};"]
    lines += [f"<{name}> = {' | '.join(spoken)};" for name, spoken in slots.items() if spoken]
    return "\n".join(lines) + "\n"


def said(words: Words) -> Iterator[str]:
    """Yield every spoken wording whose slots the station can fill."""
    for sentence in SENTENCES:
        for wording in sentence.said:
            if all(words.slots[name].spoken for name in re.findall(r"<(\w+)>", wording)):
                yield wording


def spoken_words(words: Words) -> set[str]:
    """Return every word that the grammar needs the sound of."""
    needed = {word for wording in said(words) for word in re.findall(r"[a-z]+", re.sub(r"<\w+>", "", wording))}
    return needed | {word for slot in words.slots.values() for wording in slot.spoken for word in wording.split()}


def _pattern(wording: str, slots: Mapping[str, Slot]) -> str:
    """Return a wording as a regular expression over ``joined`` text."""
    pieces = []
    for found in _SIGNS.finditer(wording):
        sign = found[0]
        if found[1]:
            pieces.append(_slot_pattern(found[1], slots[found[1]]))
        elif sign in "()[]|":
            pieces.append({"(": "(?:", ")": ")", "[": "(?:", "]": ")?", "|": "|"}[sign])
        else:
            pieces.append(re.escape(joined(sign)))
    return "".join(pieces)


def _slot_pattern(name: str, slot: Slot) -> str:
    """Return the alternatives of a slot, longest first so that no label is taken for the begin of another."""
    choices = [re.escape(wording) for wording in sorted(slot.meanings, key=len, reverse=True)]
    if slot.is_open:
        choices.append(r"(?=\S*\d)\S+ ")  # an id has a digit; a word without one is only taken if it is known
    return f"(?P<{name}>{'|'.join(choices) or '(?!)'})"


def _meanings(found: re.Match[str], slots: Mapping[str, Slot], as_written: Mapping[str, str]) -> dict[str, str]:
    """Return what the slots of a match stand for; a word that no list holds, such as an id, as it was written."""
    filled = {name: text for name, text in found.groupdict().items() if text is not None}
    return {name: slots[name].meanings.get(text, as_written.get(text.strip(), text.strip())) for name, text in filled.items()}
