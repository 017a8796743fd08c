/** I/O of block devices, from /proc/diskstats. */
import { type AttributeSet, attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { DISK } from '../catalogue/disk.ts';
import type { DiskConfig } from '../config.ts';
import { keeps } from '../filter.ts';
import { type Host, Remembered, unexpectedLine } from '../host.ts';

/** Unit of the counters, whatever the device has. */
const SECTOR_BYTES = 512;
/** Later kernels have more. */
const COUNTERS = 11;

interface Device {
  readonly isKept: boolean;
  readonly read: AttributeSet;
  readonly write: AttributeSet;
  readonly both: AttributeSet;
}

export function makeDiskScraper(config: DiskConfig, host: Host): Scraper {
  const builder = host.builder(DISK, config.metrics);
  const io = builder.stream('system.disk.io');
  const ioTime = builder.stream('system.disk.io_time');
  const merged = builder.stream('system.disk.merged');
  const operationTime = builder.stream('system.disk.operation_time');
  const operations = builder.stream('system.disk.operations');
  const pending = builder.stream('system.disk.pending_operations');
  const weightedTime = builder.stream('system.disk.weighted_io_time');
  const isKept = keeps(config.include, config.exclude);
  const devices = new Remembered<string, Device>();
  const path = host.proc('diskstats');
  const c = new Float64Array(COUNTERS);

  const makeDevice = (device: string): Device => ({
    isKept: isKept(device),
    read: attributeSet({ device, direction: 'read' }),
    write: attributeSet({ device, direction: 'write' }),
    both: attributeSet({ device }),
  });

  return host.scraper('disk', builder, (problems) => {
    const line = host.reader.lines(path);
    while (line.next()) {
      const start = line.pos;
      line.skip(2);
      const name = line.word();
      let sum = 0;
      for (let i = 0; i < COUNTERS; i++) sum += c[i] = line.number();
      if (Number.isNaN(sum)) {
        line.pos = start;
        if (line.more()) problems.add(unexpectedLine(path, line.rest()), 1);
        continue;
      }
      const device = devices.get(name, () => makeDevice(name));
      // Never used: loop devices and RAM disks, mostly.
      if (!device.isKept || sum === 0) continue;
      const { read, write, both } = device;
      operations.point(c[0]!, read);
      operations.point(c[4]!, write);
      merged.point(c[1]!, read);
      merged.point(c[5]!, write);
      io.point(c[2]! * SECTOR_BYTES, read);
      io.point(c[6]! * SECTOR_BYTES, write);
      operationTime.point(c[3]! / 1000, read);
      operationTime.point(c[7]! / 1000, write);
      pending.point(c[8]!, both);
      ioTime.point(c[9]! / 1000, both);
      weightedTime.point(c[10]! / 1000, both);
    }
    devices.forgetOthers();
  });
}
