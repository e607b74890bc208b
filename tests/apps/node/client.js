// Sequential requests with fetch: client.js BASE PREFIX COUNT asks BASE/PREFIX-0 …
"use strict";

const [base, prefix, count] = process.argv.slice(2);

async function main() {
  for (let i = 0; i < Number(count); i++) {
    const answer = await fetch(`${base}/${prefix}-${i}`);
    await answer.text();
    if (!answer.ok) {
      throw new Error(`status ${answer.status}`);
    }
  }
  console.log("READY");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
