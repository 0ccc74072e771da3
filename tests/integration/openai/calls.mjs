// Calls of OpenAI's Node client, told as JSON: node calls.mjs IMAGE, beside a node_modules that has it.

import { readFile } from "node:fs/promises";
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 10 });
const url = `data:image/png;base64,${(await readFile(process.argv[2])).toString("base64")}`;
const messages = [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }];
const chat = await client.chat.completions.create({ model: "fake", messages, logprobs: true });
const input = [{ role: "user", content: [{ type: "input_image", image_url: url, detail: "auto" }] }];
const response = await client.responses.create({ model: "fake", input });
const model = await client.models.retrieve("fake");
console.log(
  JSON.stringify({
    texts: [chat.choices[0].message.content, response.output_text],
    tokens: chat.choices[0].logprobs.content.map((each) => each.token).join(""),
    requestIds: [chat._request_id, response._request_id].map((each) => typeof each),
    revision: model.revision,
  }),
);
