/** A code as [code, display]; each list names its system. */
export type Code = readonly [code: string, display: string];

export const SYSTEMS = {
  loinc: 'http://loinc.org',
  snomed: 'http://snomed.info/sct',
  icd10: 'http://hl7.org/fhir/sid/icd-10-cm',
  rxnorm: 'http://www.nlm.nih.gov/research/umls/rxnorm',
  ndc: 'http://hl7.org/fhir/sid/ndc',
  cvx: 'http://hl7.org/fhir/sid/cvx',
  hcpcs: 'https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets',
  ucum: 'http://unitsofmeasure.org',
  npi: 'http://hl7.org/fhir/sid/us-npi',
  revenue: 'https://www.nubc.org/CodeSystem/RevenueCodes',
  placeOfService: 'https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set',
  c4bbIdentifier: 'http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBIdentifierType',
  c4bbAdjudication: 'http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudication',
  c4bbDiscriminator: 'http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudicationDiscriminator',
  c4bbSupportingInfo: 'http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBSupportingInfoType',
  c4bbCareTeam: 'http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBClaimCareTeamRole',
  c4bbPayerStatus: 'http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBPayerAdjudicationStatus',
  adjudication: 'http://terminology.hl7.org/CodeSystem/adjudication',
  claimType: 'http://terminology.hl7.org/CodeSystem/claim-type',
} as const;

export const DIAGNOSES: readonly Code[] = [
  ['I10', 'Essential (primary) hypertension'],
  ['E11.9', 'Type 2 diabetes mellitus without complications'],
  ['J45.909', 'Unspecified asthma, uncomplicated'],
  ['E78.5', 'Hyperlipidemia, unspecified'],
  ['M54.50', 'Low back pain, unspecified'],
  ['K21.9', 'Gastro-esophageal reflux disease without esophagitis'],
];

export const SERVICES: readonly Code[] = [
  ['G0438', 'Annual wellness visit, initial'],
  ['G0463', 'Hospital outpatient clinic visit'],
  ['G0008', 'Administration of influenza virus vaccine'],
  ['G0202', 'Screening mammography'],
  ['J1100', 'Injection, dexamethasone sodium phosphate, 1 mg'],
];

/** Laboratory results as [LOINC code, display, UCUM unit, low, high, decimals]. */
export const LABS: readonly (readonly [string, string, string, number, number, number])[] = [
  ['4548-4', 'Hemoglobin A1c/Hemoglobin.total in Blood', '%', 4, 9, 1],
  ['2345-7', 'Glucose [Mass/volume] in Serum or Plasma', 'mg/dL', 65, 210, 2],
  ['2160-0', 'Creatinine [Mass/volume] in Serum or Plasma', 'mg/dL', 0.5, 2, 2],
  ['13457-7', 'Cholesterol in LDL [Mass/volume] by calculation', 'mg/dL', 60, 190, 0],
  ['3016-3', 'Thyrotropin [Units/volume] in Serum or Plasma', 'm[IU]/L', 0.3, 6, 3],
];

export const VITALS: readonly (readonly [string, string, string, number, number, number])[] = [
  ['8867-4', 'Heart rate', '/min', 52, 110, 0],
  ['8310-5', 'Body temperature', 'Cel', 36, 39, 1],
  ['29463-7', 'Body weight', 'kg', 48, 120, 2],
  ['9279-1', 'Respiratory rate', '/min', 10, 24, 0],
];

/** Medications as [RxNorm code, display, NDC]. */
export const MEDICATIONS: readonly (readonly [string, string, string])[] = [
  ['314076', 'lisinopril 10 MG Oral Tablet', '00093111301'],
  ['860975', 'metformin hydrochloride 500 MG Extended Release Oral Tablet', '00093726701'],
  ['617312', 'atorvastatin 20 MG Oral Tablet', '00071015623'],
  ['745679', 'albuterol 0.09 MG/ACTUAT Metered Dose Inhaler', '00173068220'],
];

export const VACCINES: readonly Code[] = [
  ['140', 'Influenza, seasonal, injectable, preservative free'],
  ['115', 'Tdap'],
  ['213', 'SARS-COV-2 (COVID-19) vaccine, UNSPECIFIED'],
];

export const PROCEDURES: readonly Code[] = [
  ['73761001', 'Colonoscopy'],
  ['386516004', 'Anticipatory guidance'],
  ['268400002', '12 lead electrocardiogram'],
];

export const ALLERGENS: readonly Code[] = [
  ['91936005', 'Allergy to penicillin'],
  ['91935009', 'Allergy to peanut'],
  ['300916003', 'Latex allergy'],
];
