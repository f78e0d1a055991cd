// The keys of the nouns. Integer keys are time-ordered and the same in SQL, JSON and the API.
#pragma once

#include <string>

#include "base/strong_id.h"

namespace pixelfleet {

using JobId = StrongId<struct JobTag>;
using RunId = StrongId<struct RunTag>;        // one submission = one run directory
using ImageId = StrongId<struct ImageTag>;    // one (job, index)
using ChunkId = StrongId<struct ChunkTag>;    // an index range of one job's images
using WorkerId = StrongId<struct WorkerTag>;  // one life of a worker process
using UploadId = StrongId<struct UploadTag>;
using SweepId = StrongId<struct SweepTag>;
using CampaignId = StrongId<struct CampaignTag>;

// A gpu's UUID ("GPU-...", "cpu-0", "virtual-2"): stable where the index is not.
using GpuUuid = std::string;
// A model's key in the catalogue ("demo-landscape", "sdxl-base-1.0").
using ModelKey = std::string;

}  // namespace pixelfleet
