import type { DashboardAuth } from '../adapters/web/dashboard-guard.ts';
import type { Environment } from '../config.ts';
import { PerennialError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

type Settings = Pick<
  Environment,
  'DASHBOARD_USER' | 'DASHBOARD_PASSWORD' | 'DASHBOARD_PROXY_HEADER' | 'DASHBOARD_PROXY_VALUE'
>;

/** Who may see the dashboard. @throws PerennialError `config_invalid` for half a pair, or for two ways at once. */
export function dashboardAuthOf({
  DASHBOARD_USER: user,
  DASHBOARD_PASSWORD: password,
  DASHBOARD_PROXY_HEADER: header,
  DASHBOARD_PROXY_VALUE: value,
}: Settings): DashboardAuth {
  if (user !== undefined && password !== undefined) {
    if (header !== undefined) throw invalid('DASHBOARD_PROXY_HEADER does not go with DASHBOARD_USER');
    return { kind: 'basic', user, password: new Secret(password) };
  }
  if (user !== undefined) throw invalid('DASHBOARD_PASSWORD is missing');
  if (password !== undefined) throw invalid('DASHBOARD_USER is missing');
  if (header === undefined) return { kind: 'none' };
  return { kind: 'proxy', header, ...(value === undefined ? {} : { value }) };
}

function invalid(problem: string): PerennialError {
  return new PerennialError('config_invalid', { field: problem });
}
