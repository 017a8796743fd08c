/** User and system time of this process, in milliseconds: unlike the clock, it does not tell how busy the machine is. */
export const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
