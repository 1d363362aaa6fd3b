// npm install standardwebhooks
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET); // whsec_...
const seen = new Set(); // in your database

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk); // the bytes as they came
  let event;
  try {
    event = webhook.verify(Buffer.concat(chunks), request.headers);
  } catch {
    return response.writeHead(400).end();
  }
  if (!seen.has(request.headers["webhook-id"])) { // an event may come twice
    console.log(event.type, event.data.trade_id ?? null, event.sequence);
    seen.add(request.headers["webhook-id"]);
  }
  response.writeHead(204).end();
}).listen(process.env.PORT ?? 3000);
