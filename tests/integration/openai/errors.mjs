// The errors of OpenAI's Node client, as JSON: node errors.mjs, beside a node_modules that has it.

import OpenAI from "openai";

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return [error.constructor.name, error.status, error.code, typeof error.requestID];
  }
}

const client = new OpenAI({ maxRetries: 0 });
const stranger = new OpenAI({ maxRetries: 0, apiKey: "ink_wrong" });
const messages = [{ role: "user", content: "Hello" }];
console.log(
  JSON.stringify([
    await failure(() => stranger.models.list()),
    await failure(() => client.models.retrieve("gpt-4o")),
    await failure(() => client.chat.completions.create({ model: "fake", messages })),
    await failure(() => client.files.retrieve("file-nothing")),
  ]),
);
