// Model and GPU as users of Firefox choose them: what model.test.mjs says of Chromium, in short.
import assert from "node:assert/strict";
import { click, count, digestOf, drop, fill, finished, paste, screenshot, site, text, told, until, valueOf } from "./firefox.mjs";

const { pageTest } = site();

/** Chooses a value of a select as a user does. */
const select = (page, id, value) => page.select(`[data-testid="${id}"]`, value);

async function answered(page, pattern) {
  await text(page, "provenance", pattern);
  await finished(page);
}

pageTest("a model is searched, and GPU, formats and cache are chosen", async ({ page, openWhatIf }) => {
  await openWhatIf();
  await finished(page);
  await click(page, "model-input");
  await fill(page, "model-input", "qwen3 8b");
  await until("a model is offered", () => page.$("#model-list [role=option]"));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await answered(page, /Qwen\/Qwen3-8B on NVIDIA H100/);
  let before = await digestOf(page);
  for (const [id, value, pattern] of [
    ["gpu-select", "l40s", /L40S/],
    ["format-select", "1", /fp8_tp1/],
    ["kv-select", "fp8", /kv-fp8_tp1/],
  ]) {
    await select(page, id, value);
    await answered(page, pattern);
    before = await digestOf(page, before);
  }
  await screenshot(page, "firefox-model");
});

pageTest("a pasted command chooses model and parallelism", async ({ page, openWhatIf }) => {
  await openWhatIf();
  await finished(page);
  await paste(page, "vllm serve Qwen/Qwen3-32B --tensor-parallel-size 2 --kv-cache-dtype fp8");
  await told(page, "as a command");
  await answered(page, /Qwen\/Qwen3-32B on 2 × NVIDIA H100/);
  assert.equal(await valueOf(page, "model-input"), "Qwen3-32B");
  assert.equal(await valueOf(page, "kv-select"), "fp8");
});

pageTest("a dropped config.json is the model", async ({ page, openWhatIf }) => {
  const config = {
    architectures: ["LlamaForCausalLM"], model_type: "llama", torch_dtype: "bfloat16", max_position_embeddings: 8192,
    num_hidden_layers: 24, hidden_size: 2048, intermediate_size: 5632, num_attention_heads: 32, num_key_value_heads: 4,
    vocab_size: 32000, _name_or_path: "me/tiny",
  };
  await openWhatIf();
  await finished(page);
  await drop(page, ["config.json", JSON.stringify(config)]);
  await told(page, "Read config.json as the model me/tiny");
  await answered(page, /me\/tiny/);
  assert.equal(await count(page, "own-model"), 1);
});

pageTest("a link to a profile of old opens", async ({ page, open }) => {
  await open("#v=1&profile=h100-sxm_llama-3.3-70b_fp8_tp4&request-rate=2&num-prompts=50");
  await answered(page, /Llama-3\.3-70B-Instruct on 4 × NVIDIA H100/);
});
