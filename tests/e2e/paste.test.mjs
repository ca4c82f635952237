// Pasted texts of every kind: what is no command changes nothing, what is one changes only what it says, and asks about the rest.
import assert from "node:assert/strict";
import { site } from "./browser.mjs";
import { choose, digestOf, drop, field, fileOf, finished, formOf, paste, told } from "./app.mjs";

const { pageTest } = site();

/** The form that the texts below come upon. */
const FORM = "#v=1&max-num-seqs=16&max-model-len=4096&request-rate=4&num-prompts=50";
const MODEL = "meta-llama/Llama-3.1-8B";

const values = async (page, flags) => Object.fromEntries(await Promise.all(flags.map(async (flag) => [flag, await field(page, flag).inputValue()])));

// A text that calls nothing, and what is said of it.
const MENTIONS = [
  ["image: vllm/vllm-openai:latest", "no list of its flags"],
  [fileOf("tests/data/commands/compose-image-only.yml").toString(), "no list of its flags"],
  ["vllm serve hangs when I use --max-num-seqs 64 on two GPUs", "none of what can be read here"],
  ["docker pull vllm/vllm-openai:latest", "none of what can be read here"],
  ["from vllm import LLM\nllm = LLM(model='m', max_num_seqs=8)", "arguments of vLLM in Python are not read"],
  ["guidellm benchmark --target http://localhost:8000 --rate 5", "a client that is not read"],
  ["vLLM: non-default args: {'max_num_seqs': 8}", "a log of vLLM's is not read"],
];

pageTest("a text that only mentions vLLM changes nothing and is told so", async ({ page, open }) => {
  await open(FORM);
  const before = await digestOf(page);
  const form = await formOf(page);
  for (const [text, part] of MENTIONS) {
    await paste(page, text);
    const notice = await told(page, part);
    assert.equal(await notice.getAttribute("role"), "alert", text);
    await notice.getByTestId("notice-dismiss").click();
    assert.deepEqual(await formOf(page), form, text);
  }
  assert.equal(await digestOf(page), before);
});

// A text, the fields then, and the flags that it does not name.
const TEXTS = {
  "a compose file": [fileOf("tests/data/commands/compose-text.yml").toString().replace("Qwen/Qwen3-8B", MODEL), { "max-num-seqs": "24", "max-model-len": "4096" }, []],
  "two programs on one line": [
    `vllm serve ${MODEL} --max-num-seqs 32 & sleep 60 && vllm bench serve --request-rate 5 --num-prompts 40 | tee out.txt`,
    { "max-num-seqs": "32", "request-rate": "5", "num-prompts": "40", "max-model-len": "4096" },
    ["--max-model-len 4096"],
  ],
  "lines of PowerShell": [`vllm serve ${MODEL} \`\n  --block-size 32`, { "block-size": "32", "max-num-seqs": "16" }, ["--max-model-len 4096", "--max-num-seqs 16"]],
  "a Dockerfile": [`FROM vllm/vllm-openai\nCMD ["--model", "${MODEL}", "--max-num-seqs", "8"]\n`, { "max-num-seqs": "8" }, ["--max-model-len 4096"]],
  "a page of Markdown": [`# Start\n\`\`\`bash\nvllm serve ${MODEL} --max-num-seqs 8\n\`\`\`\n`, { "max-num-seqs": "8" }, ["--max-model-len 4096"]],
};
for (const [name, [text, expect, kept]] of Object.entries(TEXTS)) {
  pageTest(`${name} gives what it says, and what it does not say stays`, async ({ page, open }) => {
    await open(FORM);
    await finished(page);
    await paste(page, text);
    const notice = await told(page, "Read pasted text as a command");
    assert.deepEqual(await values(page, Object.keys(expect)), expect);
    assert.deepEqual(await notice.getByTestId("kept-flags").locator("li").allInnerTexts(), kept);
    assert.equal(await notice.getByTestId("set-kept-back").count(), kept.length ? 1 : 0);
    await finished(page);
    assert.equal(await page.getByTestId("run-error").count(), 0);
  });
}

pageTest("what a command does not say is set back when the user says so, and undone", async ({ page, open }) => {
  await open(FORM);
  const before = await digestOf(page);
  const form = await formOf(page);
  await paste(page, `vllm serve ${MODEL} --block-size 32`);
  await told(page, "Kept, for the command does not say it", "--max-model-len 4096", "--max-num-seqs 16");
  const notice = await told(page, "Read pasted text as a command");
  const kept = await digestOf(page, before);
  await notice.getByRole("button", { name: "Set these back to vLLM's defaults" }).click();
  await notice.getByText("Set back to vLLM's defaults:").waitFor();
  assert.deepEqual(await values(page, ["block-size", "max-num-seqs", "max-model-len", "request-rate"]), { "block-size": "32", "max-num-seqs": "", "max-model-len": "", "request-rate": "4" });
  await digestOf(page, kept);
  await notice.getByTestId("undo-command").click();
  await notice.getByTestId("command-undone").waitFor();
  assert.equal(await notice.getByRole("button", { name: "Undo" }).count(), 0);
  await finished(page);
  assert.deepEqual(await formOf(page), form);
  assert.equal(await digestOf(page), before);
});

pageTest("the offer ends when the form is changed otherwise", async ({ page, open }) => {
  await open(FORM);
  await finished(page);
  await paste(page, `vllm serve ${MODEL} --block-size 32`);
  const notice = await told(page, "Read pasted text as a command");
  await field(page, "max-num-seqs").fill("12");
  await notice.getByTestId("undo-command").waitFor({ state: "detached" });
  assert.equal(await notice.getByTestId("set-kept-back").count(), 0);
  assert.equal(await field(page, "max-num-seqs").inputValue(), "12");
});

pageTest("a dataset that contradicts the command yields, is named, and comes back", async ({ page, openWhatIf }) => {
  await openWhatIf();
  await finished(page);
  await drop(page, ["mooncake.jsonl", fileOf("tests/data/bench_serve/timed_trace_mooncake.jsonl")]);
  await told(page, "Read mooncake.jsonl as a Mooncake trace");
  const before = await digestOf(page);
  await paste(page, "vllm bench serve --request-rate 5 --num-prompts 30");
  const notice = await told(page, "Given up for the command: --dataset-name timed_trace", "has its own times");
  await digestOf(page, before);
  assert.equal(await page.getByTestId("run-error").count(), 0);
  await notice.getByTestId("undo-command").click();
  assert.equal(await digestOf(page), before);
});

pageTest("the command box asks the same", async ({ page, open }) => {
  await open(FORM);
  await finished(page);
  await page.getByTestId("command-text").fill(`VLLM_USE_V1=0 vllm serve ${MODEL} --block-size 32`);
  await page.getByTestId("command-apply").click();
  const taken = page.getByTestId("command-taken");
  await taken.getByText("Not read: VLLM_USE_V1=0: the V0 engine is not simulated").waitFor();
  await taken.getByTestId("set-kept-back").click();
  assert.deepEqual(await values(page, ["max-num-seqs", "max-model-len"]), { "max-num-seqs": "", "max-model-len": "" });
  await taken.getByTestId("undo-command").click();
  assert.deepEqual(await values(page, ["max-num-seqs", "max-model-len"]), { "max-num-seqs": "16", "max-model-len": "4096" });
});

// Name, content, what is said.
const WRONG = [
  ["list.json", '[{"timestamp": 1, "input_length": 5, "output_length": 6, "hash_ids": [1]}]', "a JSON list, each entry a request of a timed trace"],
  ["prompts.json", '[{"prompt": "a"}]', "a JSON list, each entry a prompt"],
  ["lengths.csv", "when,prompt tokens,answer tokens\n1,2,3\n", 'a CSV with the columns "when,prompt tokens,answer tokens"'],
  ["run.json.gz", Buffer.from([0x1f, 0x8b, 8, 0]), "this is a gzip file; unpack it first"],
  ["run.zip", Buffer.from("PK\x03\x04"), "this is a zip file; unpack it first"],
  ["utf16.json", Buffer.from("\ufeff{\"a\": 1}", "utf16le"), "the text is UTF-16; save it as UTF-8"],
  ["sharegpt.json", fileOf("tests/data/bench_serve/sharegpt.json"), "a ShareGPT dataset: its prompts are texts"],
];
for (const [way, give] of [["dropped", drop], ["chosen", choose]]) {
  pageTest(`a file of the wrong kind is named when ${way}, and nothing that is set is lost`, async ({ page, open }) => {
    await open(FORM);
    await finished(page);
    const form = await formOf(page);
    for (const [name, content, part] of WRONG) {
      await give(page, [name, content]);
      const notice = await told(page, name, part);
      await notice.getByTestId("notice-dismiss").click();
    }
    assert.deepEqual(await formOf(page), form);
  });
}
