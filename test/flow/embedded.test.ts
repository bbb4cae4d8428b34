import { embeddedPlace } from '../support/system-places.ts';
import { systemContract } from './system.contract.ts';

systemContract('the system on the embedded database', embeddedPlace);
