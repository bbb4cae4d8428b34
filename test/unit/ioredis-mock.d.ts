/** ioredis-mock comes without types; it is a Redis of ioredis that keeps everything in memory. */
declare module 'ioredis-mock' {
  import { Redis } from 'ioredis';
  export = Redis;
}
