//! `exequatur demo`: a small global issuer and a region on loopback that tell the story.
