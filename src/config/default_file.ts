/** The configuration that is read where none is named; what else holds is in settings.ts. */
export const defaultConfig = "/etc/oncn-mda/oncn-mda.conf";
