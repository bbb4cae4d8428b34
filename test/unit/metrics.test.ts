import { expect, test } from 'vitest';
import { createMetrics } from '../../src/adapters/telemetry/metrics.ts';

test('what is counted shows under its name, in seconds where it is a time', async () => {
  const { metrics, text } = createMetrics();
  metrics.refresh({ network: 'TEFCA_IAS', outcome: 'refreshed', durationMs: 250 });
  metrics.pull({ network: 'ONC_G10', result: 'complete', durationMs: 2_000 });
  metrics.records({ added: 5, modified: 2, removed: 1 });
  metrics.purge({ reason: 'requested', lagMs: -5 });
  metrics.job({ queue: 'purge', outcome: 'done', durationMs: 100 });
  metrics.repaired({ what: 'run' });
  metrics.drift({ what: 'missing', reason: 'no_scheduler' });
  const shown = await text();
  for (const line of [
    'perennial_token_refreshes_total{network="TEFCA_IAS",outcome="refreshed"} 1',
    'perennial_token_refresh_seconds_sum 0.25',
    'perennial_pulls_total{network="ONC_G10",result="complete"} 1',
    'perennial_pull_seconds_sum 2',
    'perennial_records_total{change="added"} 5',
    'perennial_records_total{change="removed"} 1',
    'perennial_purges_total{reason="requested"} 1',
    'perennial_purge_seconds_sum 0',
    'perennial_jobs_total{queue="purge",outcome="done"} 1',
    'perennial_job_seconds_count 1',
    'perennial_repairs_total{what="run"} 1',
    'perennial_drift_total{what="missing",reason="no_scheduler"} 1',
  ]) {
    expect(shown.split('\n')).toContain(line);
  }
  expect(shown).toContain('process_cpu_seconds_total');
});

test('gauges are collected at each scrape, and a state that is no more is gone', async () => {
  const { text, setGauges } = createMetrics();
  let active = 1;
  setGauges(async () => ({
    authorizationsByState: active > 0 ? { active } : { purged: 1 },
    queueJobs: { intake: { waiting: 3 } },
    purgesOverdue: 2,
    purgeLag:
      active > 0
        ? { lagSeconds: { p50: 0.4, p99: 12.5 }, oldestUnpurgedSeconds: 301, alert: true }
        : { lagSeconds: null, oldestUnpurgedSeconds: 0, alert: false },
    oldestRecordAgeSeconds: 90,
  }));
  const first = await text();
  expect(first).toContain('perennial_authorizations{state="active"} 1');
  expect(first).toContain('perennial_queue_jobs{queue="intake",state="waiting"} 3');
  expect(first).toContain('perennial_purges_overdue 2');
  expect(first).toContain('perennial_purge_lag_seconds{quantile="0.5"} 0.4');
  expect(first).toContain('perennial_purge_lag_seconds{quantile="0.99"} 12.5');
  expect(first).toContain('perennial_purge_oldest_unpurged_seconds 301');
  expect(first).toContain('perennial_purge_alert 1');
  expect(first).toContain('perennial_oldest_record_age_seconds 90');
  active = 0;
  const second = await text();
  expect(second).not.toContain('state="active"');
  expect(second, 'no purge is no purge in time').not.toContain('perennial_purge_lag_seconds{');
  expect(second).toContain('perennial_purge_alert 0');
});

test('a scrape answers although the store does not, and counts that', async () => {
  const { text, setGauges } = createMetrics();
  setGauges(() => Promise.reject(new Error('canary')));
  expect(await text()).toContain('perennial_scrape_failures_total 1');
  setGauges(() => new Promise(() => {}));
  const shown = await text();
  expect(shown).toContain('perennial_scrape_failures_total 2');
  expect(shown).not.toContain('canary');
});

test('a label that is no name becomes "other", so that nothing of upstream makes new series', async () => {
  const { metrics, text } = createMetrics();
  metrics.pull({ network: 'canary name@example.org', result: 'x'.repeat(65), durationMs: 1 });
  expect(await text()).toContain('perennial_pulls_total{network="other",result="other"} 1');
});

test('two sets of metrics live side by side', async () => {
  const [left, right] = [createMetrics(), createMetrics()];
  left.metrics.repaired({ what: 'a' });
  expect(await right.text()).not.toContain('what="a"');
});

test('ages of records show by network and quantile beside how many are late, and a network without records is gone', async () => {
  const { text, setGauges } = createMetrics();
  const ageSeconds = { p50: 3_600, p90: 7_200, p99: 90_000, max: 100_000 };
  let freshness = [
    { network: 'TEFCA_IAS', authorizations: 100, late: 2, ageSeconds },
    { network: 'ONC_G10', authorizations: 1, late: 0, ageSeconds: { p50: 1, p90: 1, p99: 1, max: 1 } },
  ];
  setGauges(async () => ({
    authorizationsByState: {},
    queueJobs: {},
    purgesOverdue: 0,
    purgeLag: { lagSeconds: null, oldestUnpurgedSeconds: 0, alert: false },
    oldestRecordAgeSeconds: 100_000,
    freshness,
  }));
  const lines = (await text()).split('\n');
  for (const [quantile, age] of [
    ['0.5', 3_600],
    ['0.9', 7_200],
    ['0.99', 90_000],
    ['1', 100_000],
  ] as const)
    expect(lines).toContain(`perennial_record_age_seconds{network="TEFCA_IAS",quantile="${quantile}"} ${age}`);
  expect(lines).toContain('perennial_records_late{network="TEFCA_IAS"} 2');
  expect(lines).toContain('perennial_records_late{network="ONC_G10"} 0');
  freshness = freshness.slice(0, 1);
  expect(await text()).not.toContain('network="ONC_G10"');
});
