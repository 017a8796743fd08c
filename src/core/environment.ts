/** The environment variables of the process, for the few components whose configuration is to read them. */
export type Environment = Readonly<Record<string, string | undefined>>;

export const environment = (): Environment => process.env;
