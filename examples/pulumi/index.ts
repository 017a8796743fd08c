/** A Pulumi program: all objects of the collection as one group, which `pulumi preview` compares with the cluster. */
import * as k8s from '@pulumi/kubernetes';
import { objects } from 'sluice/deploy';
import collection from '../collection.ts';

export const collectors = new k8s.yaml.v2.ConfigGroup('collectors', { objs: objects(collection) });
