import { Command } from 'commander';
import type { RenderDeps } from './render/deps.ts';
import { kubernetesCommand } from './render/kubernetes.ts';
import { systemdCommand } from './render/systemd.ts';

/** `bkp render kubernetes | systemd`. `deps` is asked for when one of them runs, not before. */
export const renderCommand = (deps: () => RenderDeps | Promise<RenderDeps>): Command =>
  new Command('render')
    .description('print what runs the jobs of an environment by itself: manifests for Kubernetes, units for systemd; reads no secret')
    .addCommand(kubernetesCommand(deps))
    .addCommand(systemdCommand(deps));
