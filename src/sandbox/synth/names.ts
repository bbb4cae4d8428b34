/** Invented people and places; accents and apostrophes are on purpose. */
export const FAMILY_NAMES = [
  'Quillfeather',
  'Ñandú',
  'Brackwater',
  "O'Lanthorn",
  'Thistlewood',
  'Żórawska',
  'Marrowick',
  'Sørholt',
  'Vexley',
  'Çamlıbel',
  'Harrowgate-Lindqvist',
  'Núñez-Alcázar',
  'Pemberlock',
  'Dvořáčková',
  'Oakenshade',
] as const;

export const GIVEN_NAMES = [
  'Marisela',
  'Tobiah',
  'Zoë',
  'José',
  'Ingrith',
  'Björn',
  'Anaïs',
  'Delphine',
  'Corwin',
  'Émile',
  'Philippa',
  'Renée',
  'Osric',
  'Łucja',
  'Thaddea',
] as const;

export const STREETS = [
  'Willowmere Lane',
  'Foundry Street',
  'Old Cañada Road',
  'Third Harbor Way',
  'Larkspur Court',
] as const;

export const CITIES = [
  ['Eastmarsh', 'OH', '44999'],
  ['Cañon Verde', 'NM', '87999'],
  ['Port Alder', 'WA', '98999'],
  ['Low Fields', 'GA', '30999'],
] as const;

export const CLINICS = [
  'Greenfinch Medical Group',
  'Hôpital Sainte-Aube',
  'Stonebridge Imaging',
  'Fernhill Pharmacy',
] as const;
