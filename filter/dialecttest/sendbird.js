// Calls Sendbird's SDK for an app that changed nothing but the address. It reads
// {"base", "calls": [{"method", "args"}…]} from standard input, makes the calls
// one after another, and writes what came of each: {"status", "data", "body"}.
// "data" is what the SDK made of the answer, "body" the answer itself.
'use strict';
const SDK = require('sendbird-platform-sdk');

async function main(input) {
  const api = new SDK.ModerationApi();
  api.apiClient.basePath = input.base;
  const outcomes = [];
  for (const { method, args } of input.calls) {
    const options = args[args.length - 1];
    if (options && options.blockUserData && options.model) {
      options.blockUserData = SDK.BlockUserData.constructFromObject(options.blockUserData);
    }
    try {
      const { data, response } = await api[method + 'WithHttpInfo'](...args);
      outcomes.push({ status: response.status, data, body: response.body });
    } catch (e) {
      if (e.status === undefined) throw e.error || e; // no answer at all
      outcomes.push({ status: e.status, body: e.body });
    }
  }
  process.stdout.write(JSON.stringify(outcomes));
}

let text = '';
process.stdin.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => {
  main(JSON.parse(text)).catch((e) => { console.error(e); process.exit(1); });
});
