// The SDK's worker for one claimed work item, started with the same variables as ours.
import Anthropic from '@anthropic-ai/sdk';

function milliseconds(text) {
  const [, number, unit] = /^(\d+)(ms|s|m)?$/.exec(text ?? '60s') ?? [];
  return Number(number) * ({ ms: 1, s: 1000, m: 60_000 }[unit] ?? 1000);
}

const end = new AbortController();
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => end.abort());

const client = new Anthropic({ apiKey: null, logLevel: process.env.PEER_LOG_LEVEL ?? 'info' });
const worker = client.beta.environments.work.worker({
  workdir: process.env.SANDBOX_WORKER_WORKDIR ?? process.cwd(),
  maxIdleMs: milliseconds(process.env.SANDBOX_WORKER_MAX_IDLE),
  signal: end.signal,
});

try {
  await worker.handleItem();
} catch (error) {
  if (!end.signal.aborted) {
    console.error(String(error));
    process.exitCode = 1;
  }
}
