import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { RequestTimes } from '../../../../src/server/http/request-times.ts';

describe('the times of requests', () => {
  it('are told as prom-client’s own histogram tells them, as text and as JSON', async () => {
    const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
    const request = fc.record({
      route: fc.constantFrom('/api/v1/configs/{key}', 'none'),
      method: fc.constantFrom('GET', 'HEAD', 'PUT'),
      status: fc.constantFrom(200, 304, 404),
      seconds: fc.oneof(fc.constantFrom(0, ...bounds, 61), fc.double({ min: 0, max: 100, noNaN: true })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 30 }), async (requests) => {
        const [own, theirs] = [new Registry(), new Registry()];
        const times = new RequestTimes();
        own.registerMetric(times);
        const histogram = new Histogram({
          name: 'attune_http_request_duration_seconds',
          help: 'Time from a request to its answer; of a stream to its end',
          labelNames: ['route', 'method', 'status'],
          buckets: bounds,
          registers: [theirs],
        });
        for (const { route, method, status, seconds } of requests) {
          times.count(route, method, status, seconds);
          histogram.observe({ route, method, status: String(status) }, seconds);
        }
        const sorted = async (registry: Registry): Promise<readonly string[]> => (await registry.metrics()).split('\n').toSorted();
        expect(await sorted(own)).toEqual(await sorted(theirs));
        const values = async (registry: Registry): Promise<readonly string[]> =>
          (await registry.getMetricsAsJSON()).flatMap(({ values }) =>
            values.map(({ labels, value }) => JSON.stringify([Object.entries(labels).toSorted(), value])),
          );
        expect((await values(own)).toSorted()).toEqual((await values(theirs)).toSorted());
      }),
    );
  });

  it('of methods that a client made up are one series', async () => {
    const registry = new Registry();
    const times = new RequestTimes();
    registry.registerMetric(times);
    for (const method of ['PROPFIND', 'BREW', '']) times.count('none', method, 405, 0.001);
    expect(await registry.metrics()).toContain('attune_http_request_duration_seconds_count{route="none",method="other",status="405"} 3');
  });
});
