import { ALERTS, type Alert } from '../alerts.ts';
import { labelsOf, rendered } from './objects.ts';
import type { Rendered, Subject, World } from './types.ts';

/** Each entry has a status of its own here, so the absence of each is looked for. */
const silent = (alert: Alert, env: string, { kind, name }: Subject): Alert => ({
  ...alert,
  expr: alert.expr.replace('bkp_status_timestamp_seconds', `bkp_status_timestamp_seconds{env="${env}",kind="${kind}",name="${name}"}`),
  labels: { ...alert.labels, env, kind, name },
  annotations: { ...alert.annotations, summary: `no bkp status of ${kind}/${name} was reported for 26 hours` },
});

/** The alerts for the operator of Prometheus. */
export const prometheusRule = (world: World, subjects: readonly Subject[]): Rendered =>
  rendered({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'bkp', namespace: world.options.namespace, labels: labelsOf(world) },
    spec: {
      groups: [
        {
          name: 'bkp',
          rules: ALERTS.flatMap(alert =>
            alert.alert === 'BkpNothingReported' ? subjects.map(subject => silent(alert, world.env.name, subject)) : [alert],
          ),
        },
      ],
    },
  });
