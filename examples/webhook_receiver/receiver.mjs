// A receiver of Inkpost's webhooks in Node. Needs: npm install (standardwebhooks, nothing else)
// Run: WEBHOOK_SECRET=whsec_... PORT=8787 node receiver.mjs

import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set(); // in your service: a unique column, written with what you keep of the event
const longestBody = 1024 * 1024;

createServer(async (request, response) => {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > longestBody) return response.writeHead(413).end();
    chunks.push(chunk);
  }
  let event;
  try {
    // The raw bytes: a body that was parsed and written anew has another signature.
    event = webhook.verify(Buffer.concat(chunks).toString("utf8"), request.headers);
  } catch {
    return response.writeHead(400).end();
  }
  response.writeHead(204).end(); // answer first: an attempt has 15 seconds
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return; // the same event may come twice
  seen.add(id);
  console.log(event.type, event.data.id);
}).listen(Number(process.env.PORT ?? 8787), "127.0.0.1");
