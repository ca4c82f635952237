// Groups of layers and speculative decoding on the page: what is accepted, refused, and said where blocks and passes are.
import assert from "node:assert/strict";
import { site } from "./browser.mjs";
import { PROFILE, digestOf, drop, edit, field, ownProfile, paste, told, unfold } from "./app.mjs";

const { pageTest } = site();

/** Every second layer looks at a window of 1024 tokens, and drafts are looked up in the text; its times are made up. */
function windowsAndDrafts(profile) {
  profile.provenance.kind = "synthetic";
  const tables = profile.step_time;
  const { num_seqs, context_tokens, time_us } = tables.decode_attention;
  const verification = [{ num_rows: 4, num_seqs, context_tokens, time_us, num_samples: null, spread_us: null }];
  const { decode_attention, prefill_attention } = tables;
  tables.verification_attention = verification;
  tables.span_attention = [{ kind: "sliding_window", num_tokens: 1024, decode_attention, prefill_attention, verification_attention: verification }];
  const full = { ...profile.memory.kv_cache_layers[0], num_layers: 1 };
  const window = { ...full, kind: "sliding_window", span_tokens: 1024 };
  profile.memory.kv_cache_layers = Array.from({ length: 32 }, (_, layer) => (layer % 2 === 0 ? full : window));
  const over = (axis) => ({ ...axis, time_us: [50, 50], num_samples: null, spread_us: null });
  profile.drafters = [{ method: "ngram", model: null, kv_cache_layers: [], memory: profile.memory.other_resident, first_run: over({ num_tokens: [1, 8192] }), next_run: over({ num_seqs: [1, 1024] }) }];
}

const DRAFTS = `--speculative-config '{"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}'`;

pageTest("drafts are told with the totals, over time and in each pass; groups with the blocks", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  assert.equal(await page.getByTestId("spec-decoding").count(), 0, "nothing is said of drafts without any");
  assert.equal(await page.getByTestId("kv-groups").count(), 0, "nor of groups");
  await drop(page, ["made-up.json", ownProfile(1, windowsAndDrafts)]);
  await told(page, "Read made-up.json as a profile");
  const grouped = await digestOf(page, before);
  assert.match(await page.getByTestId("kv-groups").innerText(), /2 block tables: 16 layers of full attention .* 16 layers of a sliding window of 1024 tokens/);
  assert.match(await page.getByTestId("over-time-groups").innerText(), /shared by 2 block tables/);
  await paste(page, `vllm serve ${PROFILE.model.name} ${DRAFTS}`);
  await page.getByText(/how many of the 3 drafts are accepted depends on the text/).filter({ visible: true }).first().waitFor();
  await edit(page, "spec-acceptance-length", "2.5");
  await digestOf(page, grouped);
  assert.match(await page.getByTestId("spec-decoding").innerText(), /ngram, 3 drafts: 2\.\d\d tokens a verification, \d\d\.\d % of the drafts accepted .* as the workload says/);
  const passes = await unfold(page, "passes");
  await passes.locator("svg").first().waitFor();
  await unfold(page, "report");
  assert.match(await page.getByTestId("bench-table").innerText(), /Acceptance length/);
});

pageTest("a profile without the times of drafts is refused by name, and nothing is lost", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  await paste(page, `profiler simulate ${DRAFTS} --spec-acceptance-length 2.5`);
  await page.getByText(/no times of passes that verify drafts/).filter({ visible: true }).first().waitFor();
  assert.equal(await field(page, "spec-acceptance-length").inputValue(), "2.5");
  await drop(page, ["made-up.json", ownProfile(1, windowsAndDrafts)]);
  await digestOf(page, before);
  await page.getByTestId("spec-decoding").waitFor();
});
