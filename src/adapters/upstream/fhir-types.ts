/** FHIR types that Flexpa can search (contract, section 3.4). */
export const FLEXPA_TYPES = [
  'Patient',
  'Coverage',
  'ExplanationOfBenefit',
  'AllergyIntolerance',
  'CarePlan',
  'CareTeam',
  'Condition',
  'Device',
  'DiagnosticReport',
  'DocumentReference',
  'Encounter',
  'Goal',
  'Immunization',
  'Location',
  'Medication',
  'MedicationDispense',
  'MedicationRequest',
  'Observation',
  'Organization',
  'Practitioner',
  'PractitionerRole',
  'Procedure',
  'Provenance',
];

/**
 * What US Core makes searchable by patient, and the claims of CARIN Blue Button. Without Location, Medication, Organization, Practitioner and
 * PractitionerRole, which belong to no patient and have no search by one, and without Provenance, which US Core serves by `_revinclude` only.
 */
export const US_CORE_TYPES = [
  'Patient',
  'Coverage',
  'ExplanationOfBenefit',
  'AllergyIntolerance',
  'CarePlan',
  'CareTeam',
  'Condition',
  'Device',
  'DiagnosticReport',
  'DocumentReference',
  'Encounter',
  'Goal',
  'Immunization',
  'MedicationDispense',
  'MedicationRequest',
  'Observation',
  'Procedure',
  'QuestionnaireResponse',
  'RelatedPerson',
  'ServiceRequest',
  'Specimen',
];
