// What can be given to the page, in every way, and what it says of what it cannot read.
import assert from "node:assert/strict";
import { site } from "./browser.mjs";
import { PROFILE, choose, digestOf, drop, field, fileOf, finished, formOf, ownProfile, paste, told } from "./app.mjs";

const { pageTest } = site();

/** A model's config.json; the model of the site's profile, but for `change`. */
function modelConfig(change = {}) {
  const { num_hidden_layers, hidden_size, intermediate_size, num_attention_heads, num_key_value_heads, vocab_size } = PROFILE.model;
  const model = { num_hidden_layers, hidden_size, intermediate_size, num_attention_heads, num_key_value_heads, vocab_size };
  return JSON.stringify({ architectures: ["LlamaForCausalLM"], model_type: "llama", torch_dtype: "bfloat16", max_position_embeddings: 131072, ...model, ...change });
}

const BENCH = "tests/data/bench_serve_table/everything";
const azure = fileOf("www/datasets/azure_llm_2023_conv_first_1000.csv").toString().split("\n").slice(0, 41).join("\n");

/** The dataset that the form has then is the file. */
const isDataset = (name) => async (page, file) => {
  assert.equal(await page.getByTestId("field-dataset-name").inputValue(), name);
  assert.ok((await page.getByTestId("dataset-chip").innerText()).includes(file));
};

// File, content, what the page says, whether the run is then another, and what else holds.
const KINDS = [
  ["mine.json", ownProfile(), ["Read mine.json as a profile: meta-llama/Llama-3.1-8B on NVIDIA H100", "derived"], true, async (page) => {
    assert.match(await page.getByTestId("provenance").innerText(), /profile mine \(yours\)/);
    assert.equal(await page.getByTestId("profile-select").evaluate((select) => select.selectedOptions[0].textContent), "mine (your file)");
    assert.equal(await page.getByTestId("example-line").count(), 0);
  }],
  // The profile that was dropped before stands for model and GPU until it is removed.
  ["config.json", modelConfig(), ["as the model LlamaForCausalLM, 32 layers: 32 layers of 4096", "The profile mine is in use"], false, async (page) => {
    await page.getByTestId("remove-profile").click();
    await page.getByTestId("provenance").filter({ hasText: "LlamaForCausalLM, 32 layers" }).waitFor();
  }],
  ["config.json", modelConfig({ num_hidden_layers: 16 }), ["as the model LlamaForCausalLM, 16 layers"], true],
  ["detailed.json", fileOf(`${BENCH}.detailed.json`), ["as a result of vllm bench serve: 40 requests"], false, async (page) => {
    await page.getByTestId("measured-table").waitFor();
    await page.getByTestId("distribution").locator("figure").getByText("file (simulated)").first().waitFor({ state: "attached" });
  }],
  ["result.json", fileOf(`${BENCH}.result.json`), ["as a result of vllm bench serve: 40 requests"], false, async (page) => {
    assert.match(await page.getByTestId("measured").innerText(), /statistics only, no curve can be drawn/);
  }],
  ["mooncake.jsonl", fileOf("tests/data/bench_serve/timed_trace_mooncake.jsonl"), ["as a Mooncake trace: 30 requests over"], true, isDataset("timed_trace")],
  ["bailian.jsonl", fileOf("tests/data/bench_serve/timed_trace_bailian.jsonl"), ["as a timed trace: 30 requests over", "16 tokens per hash and times in seconds"], true, isDataset("timed_trace")],
  ["azure.csv", azure, ["as an Azure trace: 40 requests over"], true, isDataset("azure")],
  ["burstgpt.csv", fileOf("tests/data/bench_serve/burstgpt.csv"), ["as a BurstGPT trace: 26 requests over", "14 entries without tokens are left out"], true, isDataset("burstgpt_timed")],
  ["serve.sh", "vllm serve meta-llama/Llama-3.1-8B \\\n  --max-num-seqs 4 --port 8000\n", ["Read serve.sh as a command", "--port: set aside"], true, async (page) => {
    assert.equal(await field(page, "max-num-seqs").inputValue(), "4");
  }],
  ["bench.sh", "vllm bench serve --request-rate 3 --num-prompts 30", ["Read bench.sh as a command"], true, async (page) => {
    assert.equal(await field(page, "request-rate").inputValue(), "3");
  }],
  ["scenario.vllmsim.txt", "#v=1&request-rate=2&num-prompts=20\n", ["Read scenario.vllmsim.txt as a scenario"], true, async (page) => {
    assert.equal(await field(page, "request-rate").inputValue(), "2");
  }],
];

// However a file comes in, the same reader reads it: one of each sort is enough for the second way.
const oneOfEachSort = KINDS.filter(([name]) => ["mine.json", "detailed.json", "azure.csv", "serve.sh"].includes(name));
for (const [way, give, kinds] of [["dropped", drop, KINDS], ["chosen", choose, oneOfEachSort]]) {
  pageTest(`every kind of file is recognised by its content when ${way}`, async ({ page, openWhatIf }) => {
    await openWhatIf();
    let before = await digestOf(page);
    for (const [name, content, parts, isOther, more] of kinds) {
      await give(page, [name, content]);
      const notice = await told(page, name, ...parts);
      const after = await digestOf(page, isOther ? before : undefined);
      if (!isOther) assert.equal(after, before, name);
      await more?.(page, name);
      await notice.getByTestId("notice-dismiss").click();
      before = after;
    }
  });
}

pageTest("commands and links can be pasted anywhere", async ({ page, openWhatIf }) => {
  await openWhatIf();
  let before = await digestOf(page);
  for (const [text, part, flag, value] of [
    ["vllm serve meta-llama/Llama-3.1-8B --max-num-seqs 4", "Read pasted text as a command", "max-num-seqs", "4"],
    ["vllm bench serve --request-rate 3 --num-prompts 30", "Read pasted text as a command", "request-rate", "3"],
    ["https://somewhere.example/page/#v=1&num-prompts=25", "Read pasted text as a scenario", "num-prompts", "25"],
  ]) {
    await paste(page, text);
    await told(page, part);
    before = await digestOf(page, before);
    assert.equal(await field(page, flag).inputValue(), value, text);
  }
});

pageTest("two files at once are both taken", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  await drop(page, ["mine.json", ownProfile()], ["result.json", fileOf(`${BENCH}.result.json`)]);
  await told(page, "Read mine.json as a profile");
  await told(page, "Read result.json as a result");
  await digestOf(page, before);
});

// Name, content, what must be said besides the name.
const BAD = [
  ["hello.txt", "hello there", ['"hello there" is none of what can be read here', "a profile"]],
  ["cut-off.json", fileOf("www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json").subarray(0, 9000), ["the text ends"]],
  ["future.json", ownProfile(1, (profile) => { profile.version = 9; }), ["$.version: 9 is newer than 3"]],
  ["negative.json", ownProfile(1, (profile) => { profile.step_time.non_attention.time_us[3] = -5; }), ["$.step_time.non_attention.time_us[3]: -5", "must be above 0 and at most 1000000000"]],
  ["text-for-number.json", ownProfile(1, (profile) => { profile.model.hidden_size = "big"; }), ["model.hidden_size", "big"]],
  ["large-config.json", modelConfig({ padding: "x".repeat(1 << 20) }), ["a model's config.json of 10", "the limit is 1048576"]],
  ["large.sh", `vllm serve x --served-model-name ${"y".repeat(1 << 16)}`, ["a command of 655", "the limit is 65536"]],
  ["picture.bin", Buffer.from([137, 80, 78, 71, 0, 255, 1, 2]), ["a binary file is none of what can be read here"]],
  ["trace.gz", Buffer.from([0x1f, 0x8b, 8, 0]), ["this is a gzip file; unpack it first"]],
  ["empty.json", "", ["there is nothing in it"]],
  ["negative.csv", `${azure}\n2023-11-16 18:20:50.0000000,396,-9\n`, ["line 42", "GeneratedTokens is -9", "up to 67108864"]],
  ["markup.txt", "<img src=x onerror=alert(1)>", ["<img src=x onerror=alert(1)>"]],
  ["refused-flag.sh", "vllm serve m --enable-lora", ["nothing was changed", "enable-lora"]],
];

for (const [way, give, bad] of [["dropped", drop, BAD], ["chosen", choose, BAD.filter((_, place) => place % 4 === 0)]]) {
  pageTest(`what cannot be read is named with its fault and its limit when ${way}, and everything stays`, async ({ page, open }) => {
    await open("#v=1&request-rate=4&num-prompts=50&max-num-seqs=8");
    const before = await digestOf(page);
    const form = await formOf(page);
    const address = page.url();
    for (const [name, content, parts] of bad) {
      await give(page, [name, content]);
      const notice = await told(page, name, ...parts);
      assert.equal(await notice.getAttribute("role"), "alert", name);
      await notice.getByTestId("notice-dismiss").click();
    }
    await finished(page);
    assert.equal(await digestOf(page), before);
    assert.deepEqual(await formOf(page), form);
    assert.equal(page.url(), address);
    assert.equal(await page.getByTestId("notice").count(), 0);
  });
}
