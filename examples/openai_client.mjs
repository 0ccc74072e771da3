// Read line images with OpenAI's own client: npm install, then node examples/openai_client.mjs FILE...
// Set OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY to a key of Inkpost's.

import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { toFile } from "openai";

const MEDIA_TYPES = { ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".tif": "image/tiff" };
const client = new OpenAI();
const model = (await client.models.list()).data.find((each) => each.is_default).id;

async function imagePart(name) {
  const mediaType = MEDIA_TYPES[extname(name).toLowerCase()] ?? "image/png";
  const url = `data:${mediaType};base64,${(await readFile(name)).toString("base64")}`;
  return { type: "image_url", image_url: { url } };
}

const names = process.argv.slice(2);
if (names.length === 0) throw new Error("Name the images to read.");
const parts = await Promise.all(names.map(imagePart));

console.log("# now, a delta for each line");
const stream = await client.chat.completions.create({ model, messages: [{ role: "user", content: parts }], stream: true });
for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? "");

console.log("\n# as a batch, a request for each line");
const requests = names.map((name, index) => ({
  custom_id: name,
  method: "POST",
  url: "/v1/chat/completions",
  body: { model, messages: [{ role: "user", content: [parts[index]] }] },
}));
const lines = Buffer.from(requests.map((request) => JSON.stringify(request)).join("\n"));
const file = await client.files.create({ file: await toFile(lines, "lines.jsonl"), purpose: "batch" });
let batch = await client.batches.create({
  input_file_id: file.id,
  endpoint: "/v1/chat/completions",
  completion_window: "24h",
});
while (!["completed", "failed", "expired", "cancelled"].includes(batch.status)) {
  await sleep(1000);
  batch = await client.batches.retrieve(batch.id);
}
for (const id of [batch.output_file_id, batch.error_file_id].filter(Boolean)) {
  for (const line of (await (await client.files.content(id)).text()).trim().split("\n")) {
    const answer = JSON.parse(line);
    const body = answer.response?.body;
    console.log(`${answer.custom_id}\t${body?.choices?.[0].message.content ?? JSON.stringify(body?.error ?? answer.error)}`);
  }
}
