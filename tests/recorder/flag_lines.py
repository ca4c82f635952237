"""Command lines of `vllm serve` and `vllm bench serve`, drawn from the options that the parsers have.

Each option occurs under each of its names, under a beginning of it, and with values of its type that are right and
wrong. The rest are mixtures: repeats, lists before models, keys behind dots, flags of the other program, none at all.
"""

GOOD = {
    "text": [["auto"], ["x"], ["a/b.c"], ["foo bar"], ["7"], ["None"], ["-1"]],
    "integer": [["8"], ["30"], ["1_000"], ["+4"], [" 5 "], ["0"], ["-1"], ["007"]],
    "number": [["0.5"], ["1"], ["1e-3"], ["inf"], ["1_0.5"], [".25"], ["nan"], ["-3"], ["Infinity"]],
    "human integer": [["4096"], ["1k"], ["1K"], ["25.6k"], ["2m"], ["2M"], ["1_024"], ["1.5g"]],
    "human integer or auto": [["4096"], ["1k"], ["1K"], ["2.5k"], ["auto"], ["Auto"], ["-1"]],
    "json": [['{"a": 1}'], ["{}"], ['{"a": {"b": [1, 2]}, "c": null}'], ['["x"]']],
    "object": [["{}"]],
    "object or text": [['{"a": 1}'], ["x"], ["{}"], ["a b"]],
    "bucket config": [["{(256, 256, 1): 0.5, (720, 1280, 1): 0.5}"]],
}
BAD = {
    "text": [],
    "integer": [["1k"], ["1.5"], ["abc"], ["1e3"], ["1__0"], ["0x10"]],
    "number": [["abc"], ["1k"], ["0,5"], ["1__0"]],
    "human integer": [["2.5K"], ["1Mi"], ["1kk"], ["k"], ["1 k"], ["-1k"], ["1.5"]],
    "human integer or auto": [["2.5K"], ["1Mi"], ["all"], ["autos"]],
    "json": [["{a: 1}"], ["x"], ["{"]],
    "object": [["x"], ['["a"]'], ["{"]],
    "object or text": [["{a: 1}"]],
    "bucket config": [["x"]],
}
# What a text means is looked at later than by the parser; these pass there.
MEANT = {
    "--goodput": [["ttft:500"], ["ttft:500", "tpot:50.5"]],
    "--percentile-metrics": [["ttft,tpot"], ["e2el"]],
    "--metric-percentiles": [["50,99"], ["99.9"]],
    "--random-range-ratio": [["0.5"], ['{"input": 0.3, "output": 0.5}']],
    "--dtype": [["bfloat16"], ["half"], ["auto"]],
    "--prefix-cache-retention-interval": [["64"], ["0"], ["None"]],
    "--speculative-config": [
        ['{"method": "ngram", "num_speculative_tokens": 3}'], ['{"method":"eagle3","model":"a/b"}'], ["{}"],
    ],
    "--spec-method": [["ngram"], ["eagle3"], ["mtp"]],
    "--kv-transfer-config": [['{"kv_connector": "NixlConnector", "kv_role": "kv_both"}']],
    "--compilation-config": [['{"mode": 3}'], ['{"cudagraph_mode": "FULL"}']],
    "--structured-outputs-config": [['{"backend": "xgrammar"}']],
    "--eplb-config": [['{"window_size": 10}'], ['{"window_size": 1k}']],
    "--lora-modules": [["a=b"], ["a=b", "c=d"]],
}
KEYS = {
    "--speculative-config": [
        ("method", "ngram"), ("num_speculative_tokens", "3"), ("model", "a/b"), ("prompt_lookup_max", "4"),
        ("num_speculative_tokens", "1k"), ("prompt_lookup_min", "2"), ("draft_tensor_parallel_size", "1"),
        ("synthetic_acceptance_rates", "[0.5, 0.25]"), ("disable_eagle_block_drop", "true"),
    ],
    "-sc": [("method", "ngram"), ("num_speculative_tokens", "2")],
    "--compilation-config": [
        ("mode", "3"), ("cudagraph_mode", "FULL"), ("cudagraph_capture_sizes", "[1,2,4]"), ("splitting_ops+", "a,b"),
        ("splitting_ops+", "c"), ("pass_config.fuse_norm_quant", "true"), ("custom_ops+", "all"),
    ],
    "-cc": [("mode", "3"), ("pass_config.fuse_norm_quant", "false")],
    "--attention-config": [("backend", "FLASH_ATTN")],
    "--kernel-config": [("moe_backend", "triton")],
    "--hf-overrides": [("a.b", "1"), ("a.c", "x"), ("d+", "1,2")],
    "--eplb-config": [("window_size", "1k"), ("step_interval", "200")],
    "--limit-mm-per-prompt": [("image", "2"), ("video", "0")],
    "--structured-outputs-config": [("backend", "xgrammar")],
    "--override-generation-config": [("temperature", "0.5"), ("top_p", "-1.5")],
    "--extra-body": [("top_k", "3"), ("x.y", "z")],
    "--chat-template-kwargs": [("enable_thinking", "false")],
}
UNKNOWN = ["--num-scheduler-steps", "--swap-space", "--what", "--max-nun-seqs", "-x", "--use-v2-block-manager"]


class Lines:
    def __init__(self, rng, programs):
        self.rng = rng
        self.programs = programs  # name -> options
        self.by_name = {
            program: {name: option for option in options for name in option["names"]}
            for program, options in programs.items()
        }

    def value(self, option, good=True):
        """Words of a value; None where there are none of that sort."""
        rng, name = self.rng, option["names"][0]
        if not good:
            bad = [["nonsense"]] if option.get("choices") else BAD[option["kind"]]
            return rng.choice(bad) if bad else None
        if name in MEANT:
            return rng.choice(MEANT[name])
        if option.get("choices"):
            one = rng.choice(option["choices"])
            if option["kind"] == "choice in any case":
                one = rng.choice([one, one.upper(), one.replace("_", "-")])
            return [one]
        if option.get("or_none") and rng.random() < 0.1:
            return [rng.choice(["None", ""])]
        words = [word for word in GOOD[option["kind"]]]
        if option["takes"] in ("several", "any"):
            return [word for part in rng.sample(words, rng.randint(1, 2)) for word in part]
        if option["takes"] == "one or nothing" and rng.random() < 0.3:
            return []
        return rng.choice(words)

    def given(self, program, name, good=True, written=None):
        """A flag with its value, in one word or in several."""
        option = self.by_name[program][name]
        written = written or name
        if option["takes"] == "nothing":
            return [written] if good else [f"{written}=true"]
        words = self.value(option, good)
        if words is None:
            return [written]
        if len(words) == 1 and (self.rng.random() < 0.4):
            return [f"{written}={words[0]}"]
        return [written, *words]

    def any_given(self, program):
        option = self.rng.choice(self.programs[program])
        return self.given(program, self.rng.choice(option["names"]))

    def model(self, program):
        return ["m"] if program == "serve" else []

    def names(self, program):
        """Under each name in full, under a beginning of it, with underscores; with values that are wrong."""
        rng = self.rng
        for option in self.programs[program]:
            for name in option["names"]:
                yield self.model(program) + self.given(program, name)
                if len(name) > 4:
                    part = name[: rng.randint(len(name) // 2, len(name) - 1)]
                    yield self.model(program) + self.given(program, name, written=part)
                if rng.random() < 0.25:
                    yield self.model(program) + self.given(program, name, written="--" + name[2:].replace("-", "_")
                                                           if name.startswith("--") else name)
            if option["takes"] == "nothing" and rng.random() > 0.3:
                continue
            yield self.model(program) + self.given(program, option["names"][0], good=False)
            if rng.random() < 0.3:
                yield self.model(program) + [option["names"][0]] + rng.choice([[], self.any_given(program)])

    def short(self):
        """Names of one dash, and the level of optimisation."""
        rng = self.rng
        for name, option in self.by_name["serve"].items():
            if name.startswith("--"):
                continue
            value = "" if option["takes"] == "nothing" else self.value(option)[0]
            for words in ([f"{name}{value}"], [f"{name}={value}"], [name], [name[:2], value], [name, value, "m"]):
                yield rng.choice([["m"], []]) + words
        for word in ("-O3", "-O=3", "-O.mode=3", "-Odecode", "-O", "-O0", "-O=-1", "-O2 -O1", "-O 3", "-O 5", "-O m"):
            yield ["m", *word.split()]
            yield [*word.split(), "m", "--max-num-seqs", "4"]

    def dotted(self, program):
        rng = self.rng
        known = [flag for flag in KEYS if flag in self.by_name[program]]
        for flag in known * (8 if program == "serve" else 10):
            words = []
            for key, value in rng.sample(KEYS[flag], rng.randint(1, min(3, len(KEYS[flag])))):
                written = flag
                if flag.startswith("--"):
                    written = rng.choice([flag, flag, flag.replace("-", "_").replace("__", "--", 1), flag[:-3]])
                words += [f"{written}.{key}={value}"] if rng.random() < 0.5 else [f"{written}.{key}", value]
            if rng.random() < 0.3:
                at = rng.choice([0, len(words)])
                words[at:at] = self.given(program, flag)
            if rng.random() < 0.3:
                words += self.any_given(program)
            yield self.model(program) + words

    def mixtures(self, program, count):
        rng = self.rng
        for _ in range(count):
            flags = [self.any_given(program) for _ in range(rng.randint(1, 4))]
            if rng.random() < 0.3:
                option = self.by_name[program][next(n for n in (f[0].split("=")[0] for f in flags))]
                flags.append(self.given(program, option["names"][0]))  # the last one counts
            if rng.random() < 0.12:
                flags.insert(rng.randint(0, len(flags)), [rng.choice(UNKNOWN), *rng.choice([[], ["3"]])])
            if rng.random() < 0.08:
                flags.append(self.any_given(next(other for other in self.programs if other != program)))
            if rng.random() < 0.05:
                flags.append(["--"])
            if rng.random() < 0.04:
                flags.append([rng.choice(["True", "false", "stray", "-0.5"])])
            if program == "serve" and rng.random() < 0.9:
                model = rng.choice([["m"], ["m"], ["a/b-7B"], ["--model", "m"], ["--model=m"]])
                flags.insert(rng.choice([0, 0, len(flags), rng.randint(0, len(flags))]), model)
            yield [word for flag in flags for word in flag]

    def all(self):
        for program in self.programs:
            for words in self.names(program):
                yield program, words
            for words in self.dotted(program):
                yield program, words
            for words in self.mixtures(program, 400):
                yield program, words
        for words in self.short():
            yield "serve", words
