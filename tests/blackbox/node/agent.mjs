// Vercel's AI SDK as an agent: a request as a line of JSON on stdin, its answer as a line on stdout.
import { createInterface } from "node:readline";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, Output, RetryError, stepCountIs, streamText, tool } from "ai";

const MODELS = {
  responses: ({ url, key, model }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key })(model),
  chat: ({ url, key, model }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).chat(model),
  messages: ({ url, key, model }) => createAnthropic({ baseURL: `${url}/v1`, apiKey: key })(model),
};

// Its Anthropic provider knows models by their names, and a use case's is none of them.
const providerOptions = { anthropic: { structuredOutputMode: "outputFormat" } };

function asked(request) {
  const { api, question, limit, retries } = request;
  const model = MODELS[api](request);
  return { model, prompt: question, maxOutputTokens: limit, maxRetries: retries, providerOptions };
}

// Its streams do not throw: an error is a part among the others.
async function read(stream, onText = () => {}) {
  let text = "";
  for await (const part of stream.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") {
      text += part.text;
      onText(text);
    }
  }
  return text;
}

const ACTS = {
  plain: async (request) => ({ text: (await generateText(asked(request))).text }),

  streamed: async (request) => ({ text: await read(streamText({ ...asked(request), onError: () => {} })) }),

  tool: async (request) => {
    let given = null;
    const weather = tool({
      inputSchema: jsonSchema(request.schema),
      execute: async (input) => {
        given = input;
        return request.result;
      },
    });
    const options = { ...asked(request), tools: { weather }, stopWhen: stepCountIs(2), onError: () => {} };
    const text = request.stream ? await read(streamText(options)) : (await generateText(options)).text;
    return { text, given };
  },

  structured: async (request) => {
    const output = Output.object({ schema: jsonSchema(request.schema), name: "forecast" });
    return { value: (await generateText({ ...asked(request), output })).output };
  },

  leave: async (request) => {
    const leaving = new AbortController();
    const stream = streamText({ ...asked(request), abortSignal: leaving.signal, onError: () => {} });
    return { text: await read(stream, () => leaving.abort()) };
  },
};

function described(thrown) {
  const error = RetryError.isInstance(thrown) ? thrown.lastError : thrown;
  return {
    kind: error.name ?? "error part",
    status: error.statusCode ?? null,
    code: error.data?.error?.code ?? error.code ?? null,
    message: error.message ?? JSON.stringify(error),
    body: error.responseBody ?? null,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = await ACTS[request.act](request);
  } catch (error) {
    answer = { error: described(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
